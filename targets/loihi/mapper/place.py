"""Giving every neuron a core: cut each population into boxes, then pack boxes onto cores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network
from nmdeploy.target import Chip, Violation
from targets.loihi.mapper.advice import hint_for
from targets.loihi.mapper.bound import least_cores, least_totals
from targets.loihi.mapper.layer import Layer, Use, layers
from targets.loihi.mapper.packing import pack
from targets.loihi.mapper.partition import Chosen, NoPartition, partition
from targets.loihi.mapper.spreading import spread
from targets.loihi.mapper.tiling import Box

MOST_CORES = 1 << 14
"""Cores that are tried where the number of chips is left open."""


def place(network: Network, chip: Chip, chips: int | None = 1, *, advise: bool = True) -> Placement:
    """Cores for a lowered network, numbered on from chip 0.

    Args:
        network: the lowered network.
        chip: the kind of chip.
        chips: how many there are; None takes as many as are needed.
        advise: whether a refusal says, by trying, what smaller change would fit.

    Raises:
        UsageError: for fewer chips than one.
        FitError: naming the layer, the limit, what was found, and what would fit.
    """
    if chips is not None and chips < 1:
        raise UsageError("a network needs at least one chip", found=chips)
    try:
        return _place(network, chip, chips)
    except _Refused as refused:
        suspects = refused.suspects if advise else []
        hint = hint_for(network, chip, chips, suspects, place) if advise else None
        violations = [Violation(*each, hint=hint) for each in refused.violations]
        raise FitError(chip.title, violations) from None


class _Refused(Exception):
    """Violations still without a hint, and the populations that may be too large, largest first."""

    def __init__(self, violations: list[tuple[str, str, str, int, int]], suspects: list[str]) -> None:
        super().__init__()
        self.violations, self.suspects = violations, suspects


def _place(network: Network, chip: Chip, chips: int | None) -> Placement:
    found = layers(network, chip)
    foreign = [p.name for p in network.populations if not p.is_input and p.name not in found]
    if foreign:
        raise UsageError("not neurons of the chip", where=foreign[0], hint="lower the network first (nmdeploy.deploy)")
    _refuse_too_large(network, found, chip, chips)
    most = MOST_CORES if chips is None else chips * chip.limit("cores")
    try:
        chosen = partition(found, most)
    except NoPartition as failed:
        raise _unplaceable(failed, most) from None
    names = [population.name for population in network.populations if population.name in found]
    limits = {name: chip.limit(name) for name in next(iter(found.values())).limits}
    least = least_cores(found, chip)

    def cores_of(choice: Chosen) -> int | None:
        uses = _uses(found, names, choice)
        legal = all(use[name] <= limit for use in uses for name, limit in limits.items())
        return len(_packed(_owners(found, names, choice), uses, limits, exact=False)) if legal else None

    chosen = spread(found, chosen, cores_of(chosen) or 0, least, cores_of)
    boxes = [box for name in names for box in chosen[name].tiling.boxes]
    owners, uses = _owners(found, names, chosen), _uses(found, names, chosen)
    cores = _packed(owners, uses, limits, exact=True)
    if len(cores) > most:
        by_size = sorted(names, key=lambda name: -chosen[name].tiling.count)
        raise _Refused([("LOI021", network.name, "more cores than there are", len(cores), most)], by_size)
    loads = tuple(
        _load(index, chip.limit("cores"), owners[member], boxes[member], uses[member])
        for index, members in enumerate(cores)
        for member in members
    )
    off_chip = tuple(population.name for population in network.inputs)
    return Placement(chip.name, loads, limits, off_chip, least)


def _chips(count: int) -> str:
    return "the chip" if count == 1 else f"{count} chips"


def _refuse_too_large(network: Network, found: dict[str, Layer], chip: Chip, chips: int | None) -> None:
    """What is plain before any search: neurons and weights of all layers against all cores."""
    if chips is None:
        return
    cores, totals = chips * chip.limit("cores"), least_totals(found, chip)
    by_size = sorted(found, key=lambda name: -found[name].population.size)
    by_weights = sorted(found, key=lambda name: -sum(lists.weights for lists in found[name].entering))
    wholes = (
        ("LOI003", "compartments", f"more compartments than {_chips(chips)} can hold", by_size),
        ("LOI004", "synaptic_words", f"more words of synapses than {_chips(chips)} can hold", by_weights),
    )
    for code, name, message, suspects in wholes:
        limit = cores * chip.limit(name)
        if totals[name] > limit:
            raise _Refused([(code, network.name, message, totals[name], limit)], suspects)


def _unplaceable(failed: NoPartition, most: int) -> _Refused:
    layer, excess = failed.layer, failed.excess
    if excess is None:
        message = "the layer alone needs more cores than there are"
        found = max(layer.least_cores, most + 1)
        return _Refused([("LOI020", layer.name, message, found, most)], [layer.name])
    message = f"the layer fits no core, however it is cut: {excess.resource.replace('_', ' ')}"
    sources = [lists.source for lists in layer.entering]
    targets = [lists.target for lists in layer.leaving]
    suspects = targets if excess.resource == "output_axons" else sources
    return _Refused([("LOI020", layer.name, message, excess.found, excess.limit)], [*dict.fromkeys(suspects)])


def _uses(found: dict[str, Layer], names: Sequence[str], chosen: Chosen) -> list[Use]:
    """What each box uses, output axons included, by population and box."""
    uses = []
    for name in names:
        layer, tiling = found[name], chosen[name].tiling
        sent = np.zeros(layer.population.size, dtype=np.int64)
        for lists in layer.leaving:
            sent += lists.cores_reached(chosen[lists.target].tiling)
        output_axons = np.zeros(tiling.count, dtype=np.int64)
        np.add.at(output_axons, tiling.box_of, sent)
        for box, axons in zip(tiling.boxes, output_axons, strict=True):
            use = layer.use(box)
            uses.append({**use, "output_axons": use["output_axons"] + int(axons)})
    return uses


def _owners(found: dict[str, Layer], names: Sequence[str], chosen: Chosen) -> list[Layer]:
    """The layer of each box."""
    return [found[name] for name in names for _ in range(chosen[name].tiling.count)]


def _packed(owners: Sequence[Layer], uses: Sequence[Use], limits: dict[str, int], *, exact: bool) -> list[list[int]]:
    """Boxes by core. Delays take accumulator slots of the whole core: such boxes stay alone."""
    shares = np.array([[use[name] / limit for name, limit in limits.items()] for use in uses])
    return pack(shares, [layer.delay > 0 for layer in owners], exact=exact)


def _load(index: int, cores: int, layer: Layer, box: Box, use: Use) -> CoreLoad:
    used = {name: count for name, count in use.items() if name in layer.limits}
    return CoreLoad(*divmod(index, cores), layer.name, box.neurons, used)

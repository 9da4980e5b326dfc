"""Giving every layer a core of its own, or two where one is too small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network
from nmdeploy.target import Chip
from targets.dynapcnn.layer import ChipLayer, layers
from targets.dynapcnn.mapper.advice import refusals
from targets.dynapcnn.mapper.assign import Option, cheapest
from targets.dynapcnn.mapper.sinabs import matching_like_sinabs
from targets.dynapcnn.mapper.split import Cores, split_sets
from targets.dynapcnn.memory import RESOURCES, LayerSize


def place(network: Network, chip: Chip, chips: int | None = 1) -> Placement:
    """The best placement: exact, and possible whenever sinabs finds a mapping.

    The best one, from the first difference on, has

    1. the fewest cores: a layer is cut in two, by output channels, only where nothing fits otherwise;
    2. the fewest layers behind such cuts, where events of two cores meet in an order that nobody knows;
    3. the fewest layers on the cores that compute in parallel (0 and 1 of Speck), in which the order of
       a layer's events is least known;
    4. the least memory on the cores it takes, so that large cores stay free;
    5. the lowest core numbers, layer by layer.

    Args:
        network: the lowered network.
        chip: the kind of chip.
        chips: 1, or None, which means the same: networks do not go over several chips.

    Raises:
        UsageError: for another number of chips, or a network that breaks the design rules.
        FitError: naming every layer that fits no core, or the smallest set that has too few, with
            what each needs and a change that would do.
    """
    _check_one(chips, chip)
    found, cores = layers(network), Cores.of(chip)
    chosen = cheapest_placement(found, {layer.name: LayerSize.of(layer) for layer in found}, cores)
    if chosen is None:
        raise FitError(chip.title, refusals(found, cores, _fits))
    return _placement(network, chip, cores, found, [option.cores for option in chosen])


def place_like_sinabs(network: Network, chip: Chip, chips: int | None = 1) -> Placement:
    """The placement with the core numbers of sinabs 3.1.3; arguments and errors are those of `place`.

    sinabs numbers layers in the order in which it meets them; here that is the order of the
    network's populations. It never cuts a layer.
    """
    _check_one(chips, chip)
    found, cores = layers(network), Cores.of(chip)
    matched = matching_like_sinabs([LayerSize.of(layer).words for layer in found], cores.memories)
    if matched is None:
        raise FitError(chip.title, refusals(found, cores, _fits_whole))
    return _placement(network, chip, cores, found, [(core,) for core in matched])


def _check_one(chips: int | None, chip: Chip) -> None:
    if chips not in (1, None):
        hint = "leave the number of chips away"
        raise UsageError(f"a network on {chip.title} takes one chip", found=chips, limit=1, hint=hint)


def cheapest_placement(found: Sequence[ChipLayer], sizes: Mapping[str, LayerSize], cores: Cores) -> list[Option] | None:
    """The best cores for layers of these sizes; None when there are none."""
    whole = {name: cores.whole(size) for name, size in sizes.items()}
    halved = {name: cores.halved(size) for name, size in sizes.items()}
    best: tuple[Rank, list[Option]] | None = None
    for split in split_sets(found, sizes, cores):
        if best is not None and len(split) > best[0][0]:
            break
        options = [(halved if layer.name in split else whole)[layer.name] for layer in found]
        chosen = cheapest(options) if all(options) else None
        if chosen is not None:
            candidate = (_rank(split, found, chosen), chosen)
            best = candidate if best is None else min(best, candidate, key=lambda each: each[0])
    return None if best is None else best[1]


def _fits(found: Sequence[ChipLayer], sizes: Mapping[str, LayerSize], cores: Cores) -> bool:
    return _fits_whole(found, sizes, cores) or cheapest_placement(found, sizes, cores) is not None


def _fits_whole(found: Sequence[ChipLayer], sizes: Mapping[str, LayerSize], cores: Cores) -> bool:
    return matching_like_sinabs([sizes[layer.name].words for layer in found], cores.memories) is not None


Rank = tuple[int, int, list[int], list[tuple[int, ...]]]


def _rank(split: frozenset[str], found: Sequence[ChipLayer], chosen: list[Option]) -> Rank:
    cost = np.sum([option.cost for option in chosen], axis=0).tolist()
    return len(split), len(_behind(split, found)), cost, [option.cores for option in chosen]


def _behind(split: frozenset[str], found: Sequence[ChipLayer]) -> set[str]:
    """The layers that events of these layers can reach."""
    fed = {layer.name: [each.population for each in layer.destinations] for layer in found}
    reached: set[str] = set()
    waiting = list(split)
    while waiting:
        new = set(fed[waiting.pop()]) - reached
        reached |= new
        waiting += new
    return reached


def _placement(
    network: Network, chip: Chip, cores: Cores, found: Sequence[ChipLayer], chosen: Sequence[tuple[int, ...]]
) -> Placement:
    loads = tuple(load for layer, taken in zip(found, chosen, strict=True) for load in _loads(layer, taken, cores))
    limits = {name: max(has[name] for has in cores.memories) for name in RESOURCES}
    off_chip = tuple(population.name for population in network.inputs)
    # A core holds one layer only, and cuts are made only where none fits without.
    return Placement(chip.name, loads, limits, off_chip, least_cores=len(loads))


def _loads(layer: ChipLayer, taken: tuple[int, ...], cores: Cores) -> list[CoreLoad]:
    """What each core of a layer holds: whole output channels, in order."""
    size, pixels = LayerSize.of(layer), layer.output_shape[1] * layer.output_shape[2]
    loads, first = [], 0
    for core, channels in zip(taken, cores.channels(size, taken), strict=True):
        neurons = np.arange(first * pixels, (first + channels) * pixels, dtype=np.int64)
        used = size.with_channels(channels).words
        loads.append(CoreLoad(0, core, layer.name, neurons, used, dict(cores.memories[core])))
        first += channels
    return loads

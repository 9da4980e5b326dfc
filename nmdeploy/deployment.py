"""A finished deployment: lowered network, placement, profile, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nmdeploy.coding import Encoder, ReadOut
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network
from nmdeploy.registry import chip as find_chip
from nmdeploy.structure import Record
from nmdeploy.synapses import Array
from nmdeploy.target import Choice, Profile, Severity, Violation

MAPPER = "mapper"
"""The entry of `Deployment.provenance` that names a mapper other than the target's own."""


@dataclass(frozen=True, eq=False, repr=False)
class CoreLoad(Record):
    """What one core holds.

    Attributes:
        chip: index of the chip, from 0.
        core: index of the core on its chip, from 0.
        population: whose neurons these are.
        neurons: flat (row-major) indices of the population's neurons on this core, int64.
        used: resources taken, by the name of the chip figure that limits them.
        limits: what this very core has of them, where cores differ; else empty.
    """

    chip: int
    core: int
    population: str
    neurons: Array
    used: Mapping[str, int]
    limits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.freeze_arrays()


@dataclass(frozen=True, eq=False, repr=False)
class Placement(Record):
    """Where every neuron lives.

    Attributes:
        chip: name of the chip.
        cores: one record for each used core.
        limits: the per-core limit of each resource named in `CoreLoad.used`; of the largest
            core, where `CoreLoad.limits` tells of differences.
        off_chip: populations that take no core (inputs fed by the host).
        least_cores: number of cores that no placement of this network can go below, as far
            as the mapper could prove; None when it proves nothing.
    """

    chip: str
    cores: tuple[CoreLoad, ...]
    limits: Mapping[str, int]
    off_chip: tuple[str, ...] = ()
    least_cores: int | None = None

    @property
    def core_count(self) -> int:
        """Number of cores used."""
        return len({(load.chip, load.core) for load in self.cores})

    @property
    def chip_count(self) -> int:
        """Number of chips used."""
        return len({load.chip for load in self.cores})

    def of(self, population: str) -> tuple[CoreLoad, ...]:
        """The cores that hold `population`."""
        return tuple(load for load in self.cores if load.population == population)

    def limits_of(self, load: CoreLoad) -> Mapping[str, int]:
        """What the core of `load` has of each resource."""
        return {**self.limits, **load.limits}


@dataclass(frozen=True, eq=False, repr=False)
class TestVectors(Record):
    """Inputs with the spikes they must cause; a bundle carries them to test itself.

    Attributes:
        inputs: spikes by input population, `[T, N, *shape]` uint8, wider where the input's range is.
        spikes: expected spikes by output population, `[T_total, N, *shape]` uint8, wider likewise.
        potentials: expected membrane potential of the outputs after the last step, `[N, *shape]` int64.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    inputs: Mapping[str, Array]
    spikes: Mapping[str, Array]
    potentials: Mapping[str, Array]

    def __post_init__(self) -> None:
        self.freeze_arrays()


@dataclass(frozen=True, eq=False, repr=False)
class Deployment(Record):
    """Everything needed to run a network on a chip, or to know bit by bit what it will do.

    Attributes:
        network: the lowered network (`network.name` is the model's name).
        target: name of the chip family.
        chip: name of the chip.
        profile: semantics of a time step.
        placement: cores and memories.
        remarks: warnings of conversion, lowering and rules.
        encoder: how inputs become spikes; None when the user feeds spikes.
        readout: how output spikes become a decision.
        steps: input steps of one inference.
        figures: measured or emulated figures of the conversion by name, with their
            provenance (`{"accuracy.ANN": {"value": 0.97, "kind": "measured", "on": "...", ...}}`).
        provenance: versions, recipe and seeds, as plain text values.
        vectors: test vectors; None when none were stored.
        source: the float spiking network it was made from, so that another chip can be
            tried without the trained model; None when it was not kept.
    """

    network: Network
    target: str
    chip: str
    profile: Profile
    placement: Placement
    remarks: tuple[Violation, ...] = ()
    encoder: Encoder | None = None
    readout: ReadOut | None = None
    steps: int = 0
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    vectors: TestVectors | None = None
    source: Network | None = None

    def with_(self, **changes: Any) -> Deployment:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def deploy(
    network: Network, chip: Choice | str, *, chips: int | None = 1, mapper: str | None = None, **extra: Any
) -> Deployment:
    """Lower an integer network to a chip, check its rules, give it cores, and check the result.

    Args:
        network: integer network (`nmdeploy.to_integers`).
        chip: target, chip and profile, or their name (`"loihi1"`, `"loihi:loihi2"`, `"loihi1/subtract"`).
        chips: how many chips there are; None takes as many as are needed.
        mapper: one of the target's other mappers (`Target.mappers`), by name; None for its own.
        extra: further fields of `Deployment` (encoder, readout, steps, provenance, ...).

    Returns:
        The deployment, its placement confirmed by the target's independent checker.

    Raises:
        FitError: with every violation, when the network does not fit.
        UsageError: for a mapper that the target does not have.
    """
    choice = find_chip(chip) if isinstance(chip, str) else chip
    target, model = choice.target, choice.chip
    lowered = target.lower(network, model, choice.profile)
    found = rule_remarks(choice, lowered.network)
    placement = _mapped(choice, lowered.network, chips, mapper)
    told = _checked(choice, lowered.network, placement)
    remarks = (*extra.pop("remarks", ()), *lowered.remarks, *found, *told)
    deployment = Deployment(
        lowered.network, target.name, model.name, lowered.profile, placement, remarks=remarks, **extra
    )
    return _named_mapper(deployment, mapper)


def remap(deployment: Deployment, chips: int | None, mapper: str | None = None) -> Deployment:
    """The same network on another number of chips, or placed by another mapper.

    Args:
        deployment: what is deployed.
        chips: how many chips there are; None takes as many as are needed, and no more.
        mapper: one of the target's other mappers, by name; None for its own.

    Raises:
        FitError: with every violation, when the network does not fit.
        UsageError: for a mapper that the target does not have.
    """
    choice = find_chip(f"{deployment.target}:{deployment.chip}")
    placement = _mapped(choice, deployment.network, chips, mapper)
    before = choice.target.check(deployment.network, deployment.placement, choice.chip)
    kept = [remark for remark in deployment.remarks if remark not in before]
    told = _checked(choice, deployment.network, placement)
    return _named_mapper(deployment.with_(placement=placement, remarks=(*kept, *told)), mapper)


def rule_remarks(choice: Choice, network: Network) -> Sequence[Violation]:
    """Warnings of the chip's design rules on a lowered network.

    Raises:
        FitError: with warnings and errors, where there is an error.
    """
    found = [violation for rule in choice.target.rules(choice.chip) for violation in rule(network, choice.chip)]
    if any(violation.severity is Severity.ERROR for violation in found):
        raise FitError(choice.chip.title, found)
    return found


def _mapped(choice: Choice, network: Network, chips: int | None, mapper: str | None) -> Placement:
    """The placement of the target's own mapper, or of a named one."""
    if mapper is None:
        return choice.target.map(network, choice.chip, chips)
    mappers = choice.target.mappers()
    if mapper not in mappers:
        raise UsageError(
            "the target has no such mapper",
            where=choice.target.name,
            found=repr(mapper),
            limit=", ".join(mappers) or "none but its own",
        )
    return mappers[mapper](network, choice.chip, chips)


def _checked(choice: Choice, network: Network, placement: Placement) -> Sequence[Violation]:
    """What the independent checker has to remark on a placement that it confirms."""
    found = choice.target.check(network, placement, choice.chip)
    if any(violation.severity is Severity.ERROR for violation in found):
        raise FitError(choice.chip.title, found)
    return found


def _named_mapper(deployment: Deployment, mapper: str | None) -> Deployment:
    """The deployment with the name of its mapper in its provenance, when it is not the target's own."""
    told = {name: text for name, text in deployment.provenance.items() if name != MAPPER}
    return deployment.with_(provenance=told if mapper is None else {**told, MAPPER: mapper})

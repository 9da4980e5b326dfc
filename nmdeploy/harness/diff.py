"""What changed between two deployments, and whether anything got worse by more than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.cost import cost_in
from nmdeploy.deployment import Deployment
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.report.activity import activity_in
from nmdeploy.report.figures import accuracies
from nmdeploy.structure import describe, equal_values, field_names

Array = NDArray[Any]


@dataclass(frozen=True)
class Measure:
    """A number that can get worse.

    Attributes:
        name: by which a tolerance names it.
        unit: of the numbers; accuracies are in percent.
        read: takes it from a deployment, by what it is of (a stage, a resource); how it came about comes with it.
        higher_is_worse: as for cores; False for accuracies.
    """

    name: str
    unit: str
    read: Callable[[Deployment], Mapping[str, tuple[float, str]]]
    higher_is_worse: bool = True


@dataclass(frozen=True)
class Tolerance:
    """By how much a measure may get worse.

    Attributes:
        amount: of the measure's unit (accuracies: points), or of percent.
        relative: whether it is a share of the number before, in percent.
    """

    amount: float
    relative: bool = False

    def allows(self, before: float, worse_by: float) -> bool:
        """Whether a number may get worse by so much."""
        return worse_by <= (abs(before) * self.amount / 100 if self.relative else self.amount)


@dataclass(frozen=True)
class NumberChange:
    """A measure that is not what it was.

    Attributes:
        measure: its name.
        of: of what (`chip`, `synaptic_words`).
        before, after: the numbers; None where one deployment does not tell.
        unit: of the numbers.
        kind: how they came about (measured, emulated, modelled).
        worse: whether it got worse.
        exceeds: whether by more than its tolerance.
    """

    measure: str
    of: str
    before: float | None
    after: float | None
    unit: str
    kind: str
    worse: bool
    exceeds: bool


@dataclass(frozen=True)
class Diff:
    """Everything that differs between two deployments.

    Attributes:
        structure: what is there, in one and not in the other, or has another shape, model or delay; sentences.
        parameters: weights and neuron parameters that changed; sentences.
        numbers: measures that changed.
    """

    structure: tuple[str, ...]
    parameters: tuple[str, ...]
    numbers: tuple[NumberChange, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.structure or self.parameters or self.numbers)

    @property
    def exceeded(self) -> tuple[NumberChange, ...]:
        """The measures that got worse by more than is allowed."""
        return tuple(change for change in self.numbers if change.exceeds)


def _accuracies(deployment: Deployment) -> dict[str, tuple[float, str]]:
    return {each.stage: (100 * each.value, each.kind.value) for each in accuracies(deployment.figures)}


def _cores(deployment: Deployment) -> dict[str, tuple[float, str]]:
    placement = deployment.placement
    return {"cores": (placement.core_count, "modelled"), "chips": (placement.chip_count, "modelled")}


def _memory(deployment: Deployment) -> dict[str, tuple[float, str]]:
    totals: dict[str, int] = {}
    for core in deployment.placement.cores:
        for resource, used in core.used.items():
            totals[resource] = totals.get(resource, 0) + used
    return {resource: (total, "modelled") for resource, total in totals.items()}


def _energy(deployment: Deployment) -> dict[str, tuple[float, str]]:
    cost = cost_in(deployment.figures)
    return {} if cost is None or cost.energy is None else {"inference, at most": (cost.energy.most, "modelled")}


def _time(deployment: Deployment) -> dict[str, tuple[float, str]]:
    cost = cost_in(deployment.figures)
    return {} if cost is None or cost.time is None else {"inference, at most": (cost.time.most, "modelled")}


def _steps(deployment: Deployment) -> dict[str, tuple[float, str]]:
    return {"inference": (deployment.steps + deployment.network.latency(), "emulated")}


def _operations(deployment: Deployment) -> dict[str, tuple[float, str]]:
    activity = activity_in(deployment.figures)
    return {} if activity is None else {"inference": (activity.total_operations, activity.kind.value)}


MEASURES: tuple[Measure, ...] = (
    Measure("accuracy", "%", _accuracies, higher_is_worse=False),
    Measure("cores", "", _cores),
    Measure("memory", "", _memory),
    Measure("energy", "J", _energy),
    Measure("time", "s", _time),
    Measure("steps", "", _steps),
    Measure("operations", "", _operations),
)
"""What is compared by number; tolerances go by these names."""

NO_TOLERANCE = Tolerance(0.0)


def diff(before: Deployment, after: Deployment, tolerances: Mapping[str, Tolerance] | None = None) -> Diff:
    """What changed from one deployment to another.

    Args:
        before, after: of the same model, or what is meant to be.
        tolerances: by how much measures may get worse, by name; those without one are told, and never exceed.

    Raises:
        UsageError: for a tolerance of something that is no measure.
    """
    allowed = dict(tolerances or {})
    unknown = sorted(set(allowed) - {measure.name for measure in MEASURES})
    if unknown:
        names = ", ".join(measure.name for measure in MEASURES)
        raise UsageError("there is no such measure", found=", ".join(unknown), limit=names)
    structure = (*_header(before, after), *_structure(before.network, after.network))
    numbers = [change for measure in MEASURES for change in _numbers(measure, before, after, allowed.get(measure.name))]
    return Diff(structure, tuple(_parameters(before.network, after.network)), tuple(numbers))


def _numbers(
    measure: Measure, before: Deployment, after: Deployment, tolerance: Tolerance | None
) -> Iterator[NumberChange]:
    old, new = measure.read(before), measure.read(after)
    for of in dict.fromkeys([*old, *new]):
        (was, kind), (is_, now) = old.get(of, (None, "")), new.get(of, (None, ""))
        if was == is_:
            continue
        worse_by = 0.0 if was is None or is_ is None else is_ - was if measure.higher_is_worse else was - is_
        exceeds = tolerance is not None and worse_by > 0 and was is not None and not tolerance.allows(was, worse_by)
        exceeds |= tolerance is not None and is_ is None  # what is no longer told may be anything
        yield NumberChange(measure.name, of, was, is_, measure.unit, now or kind, worse_by > 0, exceeds)


def _header(before: Deployment, after: Deployment) -> Iterator[str]:
    pairs = {
        "chip": (f"{before.target}:{before.chip}", f"{after.target}:{after.chip}"),
        "profile": (before.profile.name, after.profile.name),
        "encoder": (repr(before.encoder), repr(after.encoder)),
        "read-out": (repr(before.readout), repr(after.readout)),
        "outputs": (", ".join(before.network.outputs), ", ".join(after.network.outputs)),
    }
    yield from (f"{what}: {was} became {now}" for what, (was, now) in pairs.items() if was != now)
    settings = {key for key in {**before.provenance, **after.provenance} if key.startswith("recipe.")}
    for key in sorted(settings):
        was, now = (each.provenance.get(key, "not told") for each in (before, after))
        if was != now:
            yield f"{key}: {was} became {now}"


def _structure(before: Network, after: Network) -> Iterator[str]:
    old, new = ({each.name: each for each in network.populations} for network in (before, after))
    yield from (f"population {name} is gone" for name in old if name not in new)
    yield from (f"population {name} is new: {_outline(new[name])}" for name in new if name not in old)
    for name in old.keys() & new.keys():
        if _outline(old[name]) != _outline(new[name]):
            yield f"population {name}: {_outline(old[name])} became {_outline(new[name])}"
    gone, fresh = _matched(before, after)[1:]
    yield from (f"projection {each.name} is gone" for each in gone)
    yield from (f"projection {each.name} is new" for each in fresh)
    for was, now in _matched(before, after)[0]:
        if _chain(was) != _chain(now):
            yield f"projection {was.name}: {_chain(was)} became {_chain(now)}"


def _outline(population: Population) -> str:
    model = "input" if population.neuron is None else population.neuron.kind
    return f"{'x'.join(map(str, population.shape))} {model}"


def _chain(projection: Projection) -> str:
    kinds = "-".join(synapse.kind for synapse in projection.synapses) or "identity"
    return f"{kinds}, delay {projection.delay}, exponent {projection.exponent}"


def _matched(
    before: Network, after: Network
) -> tuple[list[tuple[Projection, Projection]], list[Projection], list[Projection]]:
    """Pairs of projections between the same populations, in order; and those left over on either side."""
    waiting = list(after.projections)
    pairs, gone = [], []
    for projection in before.projections:
        partner = next((each for each in waiting if each.name == projection.name), None)
        if partner is None:
            gone.append(projection)
        else:
            pairs.append((projection, partner))
            waiting.remove(partner)
    return pairs, gone, waiting


def _parameters(before: Network, after: Network) -> Iterator[str]:
    for was, now in _matched(before, after)[0]:
        for old, new in zip(was.synapses, now.synapses, strict=False):
            if old.weight is not None and new.weight is not None:
                told = _array_change(old.weight, new.weight)
                yield from [f"weights of {was.name}: {told}"] if told else []
    names = [population.name for population in after.populations]
    for population in before.populations:
        if population.name in names and population.neuron is not None:
            yield from _neuron_changes(population, after[population.name])


def _neuron_changes(before: Population, after: Population) -> Iterator[str]:
    if type(before.neuron) is not type(after.neuron):
        return  # told as structure
    for name in field_names(before.neuron):
        was, now = getattr(before.neuron, name), getattr(after.neuron, name)
        if equal_values(was, now):
            continue
        if isinstance(was, np.ndarray) and isinstance(now, np.ndarray):
            yield f"{before.name}, {name}: {_array_change(was, now)}"
        else:
            yield f"{before.name}, {name}: {describe(was)} became {describe(now)}"


def _array_change(before: Array, after: Array) -> str:
    """How two arrays differ; empty when they do not."""
    if before.shape != after.shape:
        return f"shape {before.shape} became {after.shape}"
    changed = before != after
    count = int(np.count_nonzero(changed))
    if not count:
        return ""
    largest = np.max(np.abs(before.astype(np.float64) - after.astype(np.float64)))
    return f"{count:,} of {before.size:,} changed, by at most {largest:g}"

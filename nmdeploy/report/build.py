"""What a report says, gathered from a deployment; how it looks is the renderers' affair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmdeploy.bounds import population_bound
from nmdeploy.coding import MembranePotential
from nmdeploy.cost import FIGURE as COST
from nmdeploy.cost import Cost, cost_in
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.event_network import is_event_driven
from nmdeploy.network import Network
from nmdeploy.report.activity import FIGURE as ACTIVITY
from nmdeploy.report.activity import Activity, activity_in
from nmdeploy.report.figures import Accuracy, accuracies, is_accuracy
from nmdeploy.report.memory import Occupancy
from nmdeploy.report.recipe import Conversion, conversion_of
from nmdeploy.report.selection import FIGURE as SELECTION
from nmdeploy.report.selection import Selection, selection_in
from nmdeploy.spread import exactness
from nmdeploy.target import Exactness, Profile, Severity, Violation

SECTIONS = (ACTIVITY, COST, SELECTION)
"""Figures that have a section of their own."""


@dataclass(frozen=True)
class SumBound:
    """The proven range of a population's synaptic input in one step.

    Attributes:
        population: its name.
        lower, upper: smallest and largest sum that any of its neurons can meet.
        bits: bits of the two's complement integer that holds both.
    """

    population: str
    lower: int
    upper: int
    bits: int


@dataclass(frozen=True)
class Report:
    """Everything a report says; `build_report` makes it.

    Attributes:
        title: name of the network.
        target, chip: where it is deployed.
        profile: semantics of a time step.
        encoder, readout: in words; None when the user feeds spikes or reads them.
        steps: input steps of one inference.
        latency: further steps until the last output spike.
        accuracies: by stage.
        occupancy: cores and memory.
        activity: spikes and synaptic operations; None when no run was kept.
        cost: energy and time of one inference; None when none was kept.
        bounds: proven ranges of the sums, in order of the network; none where events act one by one.
        exactness: how far its emulation holds on the chip; None where the target is not installed.
        conversion: the recipe and its guarantee; None when nothing was converted.
        selection: what the recipe `auto` chose from; None when a recipe was named.
        figures: further figures of the deployment by name.
        warnings: remarks of conversion, lowering and rules, then what the figures show.
        notes: what importing, converting and quantizing had to tell.
        provenance: versions, recipe and seeds.
        vectors: (samples, steps) of the stored test vectors; None when there are none.
    """

    title: str
    target: str
    chip: str
    profile: Profile
    encoder: str | None
    readout: str | None
    steps: int
    latency: int
    accuracies: tuple[Accuracy, ...]
    occupancy: Occupancy
    activity: Activity | None
    cost: Cost | None
    bounds: tuple[SumBound, ...]
    figures: Mapping[str, Mapping[str, Any]]
    warnings: tuple[Violation, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, str]
    vectors: tuple[int, int] | None
    exactness: Exactness | None = None
    conversion: Conversion | None = None
    selection: Selection | None = None


def build_report(deployment: Deployment) -> Report:
    """The report of a deployment, from what it carries alone.

    Raises:
        DataError: when a stored figure is not what its name says.
    """
    network, figures = deployment.network, deployment.figures
    stages, activity = accuracies(figures), activity_in(figures)
    return Report(
        title=network.name,
        target=deployment.target,
        chip=deployment.chip,
        profile=deployment.profile,
        encoder=None if deployment.encoder is None else repr(deployment.encoder),
        readout=None if deployment.readout is None else repr(deployment.readout),
        steps=deployment.steps,
        latency=int(network.latency()),
        accuracies=stages,
        occupancy=Occupancy.of(deployment.placement),
        activity=activity,
        cost=cost_in(figures),
        bounds=sum_bounds(network),
        figures={name: figures[name] for name in sorted(figures) if name not in SECTIONS and not is_accuracy(name)},
        warnings=(*deployment.remarks, *_silence(activity, deployment), *_ties(stages)),
        notes=network.notes,
        provenance={name: deployment.provenance[name] for name in sorted(deployment.provenance)},
        vectors=_vectors(deployment),
        exactness=exactness(deployment),
        conversion=conversion_of(deployment),
        selection=selection_in(figures),
    )


def sum_bounds(network: Network) -> tuple[SumBound, ...]:
    """The proven range of every population's sums; none for a network that is not integer, or has no time steps."""
    if not network.is_integer or is_event_driven(network):
        return ()
    names = [population.name for population in network.populations if not population.is_input]
    intervals = {name: population_bound(network, name).interval for name in names}
    return tuple(SumBound(name, each.minimum, each.maximum, each.bits) for name, each in intervals.items())


def _silence(activity: Activity | None, deployment: Deployment) -> list[Violation]:
    if activity is None:
        return []
    message = f"the population never spikes ({activity.kind.value}, {activity.samples} samples)"
    hint = "calibrate on more data, or normalize by a lower percentile"
    # Outputs whose potential is read have no need to spike.
    mute = deployment.network.outputs if isinstance(deployment.readout, MembranePotential) else ()
    return [
        Violation("REP001", name, message, found=0, hint=hint, severity=Severity.WARNING)
        for name in activity.never_spiking(deployment.network)
        if name not in mute
    ]


def _ties(stages: tuple[Accuracy, ...]) -> list[Violation]:
    message = "samples without a decision: several classes share the best score"
    hint = "more steps, or the membrane potential as read-out"
    return [
        Violation("REP002", stage.stage, message, stage.ties, None, hint, Severity.WARNING)
        for stage in stages
        if stage.ties
    ]


def _vectors(deployment: Deployment) -> tuple[int, int] | None:
    stored = deployment.vectors
    if stored is None or not stored.spikes:
        return None
    steps, samples = next(iter(stored.spikes.values())).shape[:2]
    return samples, steps

"""Where a run differs from the emulator's, and what may be the cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Inputs, check_inputs
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import EmulationOverflow, NetworkError, UsageError
from nmdeploy.harness.causes import (
    Cause,
    Trial,
    delay_shift,
    event_order,
    flipped_kernel,
    permuted_axes,
    reset,
    saturation,
    state_not_reset,
    threshold_comparison,
)
from nmdeploy.harness.first_difference import Place, Recorded, first_difference
from nmdeploy.harness.lost_events import Arriving, arriving, missing_events
from nmdeploy.harness.scene import Scene, make_scene
from nmdeploy.network import Network
from nmdeploy.progress import Progress
from nmdeploy.structure import describe

Array = NDArray[Any]

CAUSES: Mapping[str, Cause] = {
    "threshold comparison": threshold_comparison,
    "reset": reset,
    "one-step delay shift": delay_shift,
    "flipped kernel": flipped_kernel,
    "permuted axes": permuted_axes,
    "state not reset": state_not_reset,
    "saturation": saturation,
    "event order": event_order,
    "missing events": missing_events,
}
"""Of causes that explain equally much, the earlier ones are likelier."""


@dataclass(frozen=True)
class Explanation:
    """A cause that explains a part of what differs.

    Attributes:
        cause: its name in `CAUSES`.
        words: the way in which it would have struck.
        unexplained: recorded values of the population that still differ with it.
        mismatches: those that differ without it.
    """

    cause: str
    words: str
    unexplained: int
    mismatches: int

    def __str__(self) -> str:
        share = "everything" if self.unexplained == 0 else f"{1 - self.unexplained / self.mismatches:.1%}"
        return f"{self.cause} ({self.words}) explains {share}: {self.unexplained} of {self.mismatches} differ still"


@dataclass(frozen=True)
class Comparison:
    """A run held against the emulator.

    Attributes:
        compared: values compared.
        populations: that were compared.
        place: the first difference; None when there is none.
        neuron: the neuron model there, in words.
        fires_at: the smallest potential that fires there; None where the model does not tell.
        before, after: the emulator's potential of the neuron before and after that step.
        arrived: the spikes that reached it in that step.
        explanations: causes that explain something, the best first.
    """

    compared: int
    populations: tuple[str, ...]
    place: Place | None
    neuron: str = ""
    fires_at: int | None = None
    before: int = 0
    after: int = 0
    arrived: tuple[Arriving, ...] = ()
    explanations: tuple[Explanation, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.compared > 0 and self.place is None

    def __str__(self) -> str:
        from nmdeploy.harness.words import comparison_text

        return comparison_text(self)


def compare(
    network: Network | Deployment, inputs: Inputs, found: Recorded, progress: Progress | None = None
) -> Comparison:
    """Hold a run from elsewhere against the emulator's; where they differ, find out why.

    The first population that differs is examined alone: it is fed what was recorded of
    its sources (else what the emulator makes of them), and every cause of `CAUSES` is
    tried on it. A cause that leaves nothing unexplained need not be the true one, but
    what was recorded cannot tell it from that.

    Args:
        network: an integer network, or a deployment.
        inputs: spikes by input population, `[T, N, *shape]`; the array alone when there is one input.
        found: what was recorded of the run, spikes and potentials at every step.
        progress: called with (causes tried, causes in all).

    Raises:
        UsageError: when nothing was recorded, or of populations that the network does not have.
        ShapeError: naming the population whose recording has another shape.
        NmdeployError: as from `nmdeploy.emulate`.
    """
    plain = network.network if isinstance(network, Deployment) else network
    names = _recorded_names(plain, found)
    steps = len(next(iter([*found.spikes.values(), *found.potentials.values()])))
    stimulus = check_inputs(plain, inputs, steps)
    record = Recording(spikes=tuple(found.spikes), potentials=tuple(found.potentials), counts=())
    given = dict(stimulus.spikes)
    run = emulate(plain, given, steps=steps, record=record)
    compared = sum(values.size for held in (found.spikes, found.potentials) for values in held.values())
    place = first_difference(plain, Recorded(run.spikes, run.potentials), found)
    if place is None:
        return Comparison(compared, names, None)
    scene = make_scene(plain, place.population, given, found, steps)
    before, after = _potentials(scene, place)
    return Comparison(
        compared,
        names,
        place,
        neuron=describe(scene.neuron),
        fires_at=_fires_at(scene, place),
        before=before,
        after=after,
        arrived=tuple(arriving(scene, place, place.step)),
        explanations=explain(scene, progress),
    )


def explain(scene: Scene, progress: Progress | None = None) -> tuple[Explanation, ...]:
    """The causes that explain something of what differs in a population, each in its best way, the best first."""
    mismatches = scene.mismatches()
    found = []
    for done, (name, cause) in enumerate(CAUSES.items(), 1):
        tried = [(_left(trial, mismatches), trial.words) for trial in cause(scene)]
        left, words = min(tried, key=lambda each: each[0], default=(mismatches, ""))
        if left < mismatches:
            found.append(Explanation(name, words, left, mismatches))
        if progress is not None:
            progress(done, len(CAUSES))
    return tuple(sorted(found, key=lambda each: each.unexplained))


def _left(trial: Trial, mismatches: int) -> int:
    """What a trial leaves unexplained: everything, where the network cannot have that fault."""
    try:
        return trial.unexplained()
    except (NetworkError, EmulationOverflow):
        return mismatches


def _recorded_names(network: Network, found: Recorded) -> tuple[str, ...]:
    names = tuple(dict.fromkeys([*found.spikes, *found.potentials]))
    known = {population.name for population in network.populations if not population.is_input}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        listing = ", ".join(unknown) or "nothing"
        raise UsageError("recordings are of the network's populations", found=listing, limit=", ".join(sorted(known)))
    return names


def _potentials(scene: Scene, place: Place) -> tuple[int, int]:
    """The emulator's potential of the neuron, before and after the step."""
    record = Recording(spikes=(), potentials=(scene.name,), counts=())
    run = emulate(scene.network, dict(scene.inputs), steps=scene.steps, record=record).potentials[scene.name]
    start = scene.neuron.initial_state((1, *scene.population.shape), np.dtype(np.int64))["v"][(0, *place.neuron)]
    before = run[(place.step - 1, place.sample, *place.neuron)] if place.step else start
    return int(before), int(run[(place.step, place.sample, *place.neuron)])


def _fires_at(scene: Scene, place: Place) -> int | None:
    scan, rule = scene.neuron.scan(1), scene.neuron.event_rule()
    if rule is not None and rule.threshold is not None:
        threshold: Any = rule.threshold
    elif scan is not None and scan.above is not None:
        threshold = np.add(scan.above, 1)
    else:
        return None
    return int(np.broadcast_to(threshold, scene.population.shape)[place.neuron])

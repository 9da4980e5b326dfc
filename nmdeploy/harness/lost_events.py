"""Events that did not arrive: which of those that were sent explain a difference by their absence?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.harness.causes import Trial
from nmdeploy.harness.first_difference import Place, Recorded, first_difference, mismatches
from nmdeploy.harness.scene import Scene
from nmdeploy.network import Projection

Array = NDArray[Any]

CANDIDATES = 256
"""Losses tried at most; those nearest to the first difference come first."""


@dataclass(frozen=True)
class Loss:
    """Spikes of one input population that are taken away.

    Attributes:
        words: for people.
        source: the population.
        where: index into `[T, *shape]` of a sample.
    """

    words: str
    source: str
    where: tuple[Any, ...]


@dataclass(frozen=True)
class Arriving:
    """A spike that reached the neuron that differs first.

    Attributes:
        source: the population it came from.
        step: when it was sent.
        neuron: index in the source.
        weight: what it adds to the neuron's current, before shifts.
        spike: its value.
    """

    source: str
    step: int
    neuron: tuple[int, ...]
    weight: int
    spike: int


def missing_events(scene: Scene) -> Iterator[Trial]:
    """Events were sent that the population never got."""
    place = first_difference(scene.network, scene.run(), scene.found)
    if place is None:
        return
    arrived = [each for step in range(place.step, -1, -1) for each in arriving(scene, place, step)]
    once = [
        Loss(f"the spike of {each.source} {each.neuron} at step {each.step}", each.source, (each.step, *each.neuron))
        for each in arrived
    ]
    silent = dict.fromkeys((each.source, each.neuron) for each in arrived)
    dead = [Loss(f"every spike of {source} {neuron}", source, (slice(None), *neuron)) for source, neuron in silent]
    sent = dict.fromkeys((each.source, each.step) for each in arrived)
    skipped = [Loss(f"every spike of {source} at step {step}", source, (step,)) for source, step in sent]
    ended = [
        Loss(f"every spike of {source} from step {step} on", source, (slice(step, None),)) for source, step in sent
    ]
    for losses in (once, dead, skipped, ended):
        if losses:
            yield from _best(scene, place, losses[:CANDIDATES])


def arriving(scene: Scene, place: Place, step: int) -> list[Arriving]:
    """The recorded spikes that act on the neuron of `place` in `step`."""
    found = []
    for projection in scene.entering:
        sent = step - projection.delay
        if projection.source in scene.inputs and sent >= 0:
            spikes = scene.inputs[projection.source][sent, place.sample]
            active = np.argwhere(spikes)
            weights = _weights(projection, spikes.shape, active, place.neuron)
            found += [
                Arriving(projection.source, sent, tuple(map(int, index)), int(weight), int(spikes[tuple(index)]))
                for index, weight in zip(active, weights, strict=True)
                if weight
            ]
    return found


def _weights(projection: Projection, shape: tuple[int, ...], active: Array, neuron: tuple[int, ...]) -> Array:
    """What a spike of each active neuron alone adds to `neuron`."""
    alone = np.zeros((len(active), *shape), np.int64)
    alone[(np.arange(len(active)), *active.T)] = 1
    target = projection.shapes(shape)[-1]
    delivered: Array = projection.apply(alone).reshape(len(active), math.prod(target))
    return delivered[:, np.ravel_multi_index(neuron, target)]


def _best(scene: Scene, place: Place, losses: list[Loss]) -> Iterator[Trial]:
    """The loss that explains most of the sample in which the difference is, there alone and in all samples."""
    sample = slice(place.sample, place.sample + 1)
    alone = {name: np.repeat(spikes[:, sample], len(losses), axis=1) for name, spikes in scene.inputs.items()}
    for index, loss in enumerate(losses):
        alone[loss.source][(loss.where[0], index, *loss.where[1:])] = 0
    run = replace(scene, inputs=alone).run()
    seen = _taken(scene.found, sample)
    left = [mismatches(_taken(run, slice(index, index + 1)), seen, scene.name) for index in range(len(losses))]
    best = losses[int(np.argmin(left))]
    for samples, words in ((sample, f"of sample {place.sample}"), (slice(None), "of all samples")):
        spikes = scene.inputs[best.source].copy()
        spikes[(best.where[0], samples, *best.where[1:])] = 0
        yield Trial(f"{best.words} {words} is lost", scene.with_inputs({best.source: spikes}).mismatches)


def _taken(recorded: Recorded, samples: slice) -> Recorded:
    def part(held: Mapping[str, Array]) -> dict[str, Array]:
        return {name: values[:, samples] for name, values in held.items()}

    return Recorded(part(recorded.spikes), part(recorded.potentials))

"""What commonly goes wrong between an emulator and a chip, each cause as something that can be tried.

A cause changes the population under examination as that fault would, runs the emulator
again on what really reached the population, and counts what is left unexplained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.harness.first_difference import Recorded
from nmdeploy.harness.scene import Scene
from nmdeploy.network import Projection
from nmdeploy.synapses import Conv2d, Shape
from quantize import IntegerFormat, Overflow

Array = NDArray[Any]

SUM_BITS = (8, 16, 24)
"""Widths at which chips cut sums off."""


@dataclass(frozen=True)
class Trial:
    """One way in which a cause may have struck.

    Attributes:
        words: that way, for people.
        unexplained: runs it, and counts the recorded values that still differ.
    """

    words: str
    unexplained: Callable[[], int]


Cause = Callable[[Scene], Iterator[Trial]]


def misread_neuron(scene: Scene, cause: str) -> Iterator[Trial]:
    """The neuron model read in another way; the model itself says how (`NeuronModel.misreadings`)."""
    for words, neuron in scene.neuron.misreadings().get(cause, {}).items():
        yield Trial(words, scene.with_neuron(neuron).mismatches)


def threshold_comparison(scene: Scene) -> Iterator[Trial]:
    """A potential equal to the threshold fires, or does not."""
    return misread_neuron(scene, "threshold comparison")


def reset(scene: Scene) -> Iterator[Trial]:
    """A spike resets to zero what should be subtracted from, or the other way round."""
    return misread_neuron(scene, "reset")


def saturation(scene: Scene) -> Iterator[Trial]:
    """A potential or the sum of one step leaves a format."""
    yield from misread_neuron(scene, "saturation")
    for bits in SUM_BITS:
        for overflow in (Overflow.SATURATE, Overflow.WRAP):
            form = IntegerFormat(bits, overflow=overflow)
            narrowed = {place: replace(each, accumulator=form) for place, each in enumerate(scene.entering)}
            yield Trial(f"sums of {bits} bits, {overflow.value}", scene.with_entering(narrowed).mismatches)


def event_order(scene: Scene) -> Iterator[Trial]:
    """Neurons that one event reaches fire in another order, in this population and those before it."""
    for words in scene.neuron.misreadings().get("event order", {}):
        yield Trial(words, scene.with_neurons("event order", words).mismatches)


def delay_shift(scene: Scene) -> Iterator[Trial]:
    """Spikes act a step early or late; of one projection, or of all."""
    entering = scene.entering
    groups = [(tuple(range(len(entering))), "all inputs")]
    groups += [((place,), each.name) for place, each in enumerate(entering) if len(entering) > 1]
    for places, which in groups:
        for shift, words in ((1, "a step late"), (-1, "a step early")):
            moved = {place: replace(entering[place], delay=entering[place].delay + shift) for place in places}
            if all(each.delay >= 0 for each in moved.values()) and _legal(scene, moved):
                yield Trial(f"{which} {words}", scene.with_entering(moved).mismatches)
    yield from (Trial(f"its own spikes {words}", _shifted(scene, shift)) for shift, words in _OUTPUT_SHIFTS)


_OUTPUT_SHIFTS = ((1, "are recorded a step late"), (-1, "are recorded a step early"))


def _legal(scene: Scene, moved: dict[int, Projection]) -> bool:
    """Whether no loop loses its last delay: a projection from the population itself needs one."""
    return all(each.delay > 0 or each.source != scene.name for each in moved.values())


def _shifted(scene: Scene, shift: int) -> Callable[[], int]:
    def unexplained() -> int:
        run = scene.run()
        return scene.mismatches(Recorded(_rolled(run.spikes, shift), _rolled(run.potentials, shift)))

    return unexplained


def _rolled(held: Any, shift: int) -> dict[str, Array]:
    """Recordings moved in time; the step that enters repeats the end that it is next to, spikes are silent there."""
    moved = {}
    for name, values in held.items():
        after = np.roll(values, shift, axis=0)
        edge = 0 if shift > 0 else len(after) - 1
        after[edge] = 0 if values.dtype.kind == "u" else after[edge]
        moved[name] = after
    return moved


def permuted_axes(scene: Scene) -> Iterator[Trial]:
    """A map is read in another order of its axes, or mirrored: on the way in, or on the way out."""
    for source in dict.fromkeys(projection.source for projection in scene.entering):
        if source in scene.inputs:
            for words, index in _readings(scene.network[source].shape).items():
                changed = {source: _reread(scene.inputs[source], index)}
                yield Trial(f"{source} {words}", scene.with_inputs(changed).mismatches)
    for words, index in _readings(scene.population.shape).items():
        yield Trial(f"{scene.name} {words}", _output_reread(scene, index))


def _readings(shape: Shape) -> dict[str, Array]:
    """Ways to misread a map: by words, the flat index of what is taken for each neuron; none twice."""
    if len(shape) != 3:
        return {}
    right = np.arange(math.prod(shape)).reshape(shape)
    found: dict[str, Array] = {}
    if shape[1] == shape[2]:
        found["has rows and columns exchanged"] = right.swapaxes(1, 2).ravel()
    for order in permutations(range(3)):
        axes, other = "".join("CHW"[axis] for axis in order), right.transpose(order).ravel()
        found[f"is written as {axes} and read as CHW"] = other
        found[f"is written as CHW and read as {axes}"] = np.argsort(other)
    found["has its channels in reverse order"] = right[::-1].ravel()
    found["is upside down"] = right[:, ::-1].ravel()
    found["is mirrored"] = right[:, :, ::-1].ravel()
    first = {index.tobytes(): words for words, index in reversed(found.items())}
    first.pop(right.tobytes(), None)
    return {words: found[words] for words in reversed(first.values())}


def _reread(maps: Array, index: Array) -> Array:
    """Maps `[T, N, C, H, W]` with each neuron's value taken from where `index` says."""
    return maps.reshape(*maps.shape[:2], -1)[..., index].reshape(maps.shape)


def _output_reread(scene: Scene, index: Array) -> Callable[[], int]:
    def unexplained() -> int:
        run = scene.run()
        spikes = {name: _reread(values, index) for name, values in run.spikes.items()}
        potentials = {name: _reread(values, index) for name, values in run.potentials.items()}
        return scene.mismatches(Recorded(spikes, potentials))

    return unexplained


def flipped_kernel(scene: Scene) -> Iterator[Trial]:
    """A kernel is applied as a convolution instead of a cross-correlation, or has its axes exchanged."""
    ways: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("flipped in both axes", lambda kernel: kernel[..., ::-1, ::-1]),
        ("flipped in rows", lambda kernel: kernel[..., ::-1, :]),
        ("flipped in columns", lambda kernel: kernel[..., ::-1]),
        ("with rows and columns exchanged", lambda kernel: kernel.swapaxes(-1, -2)),
    )
    for place, projection in enumerate(scene.entering):
        for index, synapse in enumerate(projection.synapses):
            if not isinstance(synapse, Conv2d):
                continue
            for words, change in ways:
                kernel = np.ascontiguousarray(change(synapse.weight))
                if kernel.shape == synapse.weight.shape and not np.array_equal(kernel, synapse.weight):
                    chain = list(projection.synapses)
                    chain[index] = synapse.with_weight(kernel)
                    changed = {place: replace(projection, synapses=tuple(chain))}
                    yield Trial(f"kernels of {projection.name} {words}", scene.with_entering(changed).mismatches)


def state_not_reset(scene: Scene) -> Iterator[Trial]:
    """A sample starts with what the one before it has left."""
    samples = next(iter(scene.inputs.values())).shape[1]
    if samples > 1:
        yield Trial("each sample starts with the state that the one before it left", _one_after_the_other(scene))


def _one_after_the_other(scene: Scene) -> Callable[[], int]:
    def unexplained() -> int:
        samples = next(iter(scene.inputs.values())).shape[1]
        joined = {name: _joined(spikes) for name, spikes in scene.inputs.items()}
        run = replace(scene, inputs=joined, steps=scene.steps * samples).run()
        spikes = {name: _parted(values, samples) for name, values in run.spikes.items()}
        potentials = {name: _parted(values, samples) for name, values in run.potentials.items()}
        return scene.mismatches(Recorded(spikes, potentials))

    return unexplained


def _joined(spikes: Array) -> Array:
    """`[T, N, *shape]` as one sample of N * T steps."""
    return spikes.swapaxes(0, 1).reshape(-1, 1, *spikes.shape[2:])


def _parted(values: Array, samples: int) -> Array:
    """The inverse of `_joined`."""
    return values.reshape(samples, -1, *values.shape[2:]).swapaxes(0, 1)

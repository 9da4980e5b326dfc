"""Input spikes, and networks brought to a wanted activity.

The activity of a network is the mean number of spikes of one neuron in one step. A
network of activity a is one in which the input and every layer behind it have, each
by itself, that mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Projection
from nmdeploy.neurons import IF

Images = NDArray[np.float64]
"""`[N, *shape]` in 0..1."""

CALIBRATION_IMAGES = 8
HALVINGS = 18


def mnist_images(folder: Path, count: int, seed: int = 0) -> Images:
    """A seeded draw of test images, `[N, 1, 28, 28]` in 0..1."""
    with np.load(folder / "data" / "mnist.npz", allow_pickle=False) as data:
        pixels = data["x_test"]
    chosen = np.random.Generator(np.random.PCG64(seed)).choice(len(pixels), count, replace=False)
    images: Images = pixels[chosen][:, None] / 255
    return images


def made_images(shape: tuple[int, ...], count: int, seed: int = 0) -> Images:
    """Random images in 0..1, a quarter of whose values are not 0."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.random((count, *shape)) * (generator.random((count, *shape)) < 0.25)


def of_mean(images: Images, mean: float) -> Images:
    """Images of this mean: darkened by a factor, or, where they are too dark, lightened towards 1."""
    present = float(images.mean())
    changed: Images = (
        images * (mean / present) if mean <= present else images + (1 - images) * ((mean - present) / (1 - present))
    )
    return changed


def bernoulli(images: Images, steps: int, seed: int = 1) -> NDArray[np.uint8]:
    """Spikes `[T, N, *shape]`, each with the probability of its pixel."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.stack([(generator.random(images.shape) < images).astype(np.uint8) for _ in range(steps)])


def with_activity(network: Network, spikes: NDArray[np.uint8], activity: float) -> Network:
    """The chain `network` with thresholds such that every layer fires at this rate on this input.

    Layer by layer, the threshold is found by bisection on some of the samples. A layer
    that fires too little even at a threshold of 1 gets a bias, found likewise: random
    weights drive half of the neurons down, whatever the threshold.

    Args:
        network: a chain of `IF` layers.
        spikes: input `[T, N, *shape]`, already of the wanted mean.
        activity: mean spikes of one neuron in one step.
    """
    spikes = spikes[:, :CALIBRATION_IMAGES]
    populations = [network.populations[0]]
    for projection in network.projections:
        neuron, spikes = _tuned(projection, spikes, activity)
        populations.append(replace(network[projection.target], neuron=neuron))
    return replace(network, populations=tuple(populations), name=f"{network.name}, {activity:.1%} active")


def _tuned(projection: Projection, spikes: NDArray[np.uint8], activity: float) -> tuple[IF, NDArray[np.uint8]]:
    """A neuron with the wanted rate, and its layer's spikes."""
    currents = [projection.apply(step.astype(np.float32)).astype(np.int32) for step in spikes]
    shape = currents[0].shape

    def run(neuron: IF) -> NDArray[np.uint8]:
        state = neuron.initial_state(shape, np.dtype(np.int32))
        return np.stack([neuron.step(state, current) for current in currents])

    neuron = IF(_bisect(lambda threshold: float(run(IF(threshold)).mean()) <= activity))
    if neuron.threshold == 1:
        threshold = int(np.abs(currents).max())
        neuron = IF(threshold, _bisect(lambda bias: float(run(IF(threshold, bias)).mean()) >= activity))
    return neuron, run(neuron)


def _bisect(enough: Callable[[int], bool]) -> int:
    """The smallest integer of 1..2**HALVINGS from which on `enough` holds."""
    low, high = 0, 1 << HALVINGS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

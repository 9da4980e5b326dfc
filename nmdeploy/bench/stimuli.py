"""What a benchmark feeds to a network: the deployment's test vectors, or random spikes of the same rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import Deployment, TestVectors
from nmdeploy.emulator.inputs import spike_type
from nmdeploy.errors import UsageError
from nmdeploy.network import Population
from nmdeploy.report.activity import activity_in

Array = NDArray[Any]

LARGEST_STIMULUS = 1 << 27
"""Bytes of input spikes held at a time; more images than that are the same ones again."""


@dataclass(frozen=True)
class Stimuli:
    """Input spikes of some images, to be run as often as asked.

    Attributes:
        spikes: by input population, `[T, N, *shape]`.
        about: what they are, in words.
        expected: output spikes by population, `[T_total, N, *shape]`; None when not known.
        steps: steps to run; None means as many as the inputs last, and the network's latency.
    """

    spikes: Mapping[str, Array]
    about: str
    expected: Mapping[str, Array] | None = None
    steps: int | None = None

    @property
    def images(self) -> int:
        """Number of images held."""
        return int(next(iter(self.spikes.values())).shape[1])

    def first(self, images: int, steps: int | None = None) -> Stimuli:
        """The first images, of the first steps (None: of all); without what is expected if steps are cut."""
        spikes = {name: array[:steps, :images] for name, array in self.spikes.items()}
        known = self.expected if steps is None else None
        return replace(self, spikes=spikes, expected=known and {name: a[:, :images] for name, a in known.items()})


def stimuli(
    deployment: Deployment, images: int, *, rate: float | None = None, steps: int | None = None, seed: int = 0
) -> Stimuli:
    """The test vectors of `deployment`, repeated; random spikes where there are none or `rate` or `steps` is given.

    Args:
        deployment: what will run.
        images: how many are wanted; fewer come where they would take too much memory.
        rate: share of the input values that are not 0; None means that of the deployment's measured activity.
        steps: input steps; None means the deployment's.
        seed: seeds random spikes.

    Raises:
        UsageError: for random spikes when nothing tells the rate or the steps.
    """
    vectors = deployment.vectors
    if vectors is not None and vectors.inputs and rate is None and steps is None:
        return _repeated(vectors, images)
    return _random(deployment, images, rate, steps or deployment.steps, seed)


def _repeated(vectors: TestVectors, images: int) -> Stimuli:
    arrays = list(vectors.inputs.values())
    held = arrays[0].shape[1]
    chosen = np.arange(_affordable(images, sum(array[:, :1].nbytes for array in arrays))) % held
    return Stimuli(
        {name: np.ascontiguousarray(array[:, chosen]) for name, array in vectors.inputs.items()},
        f"the bundle's {held} test vector{'s' if held > 1 else ''}, repeated",
        {name: array[:, chosen] for name, array in vectors.spikes.items()},
        max(map(len, vectors.spikes.values()), default=None),
    )


def _random(deployment: Deployment, images: int, rate: float | None, steps: int, seed: int) -> Stimuli:
    if steps < 1:
        raise UsageError("the number of steps is not known", where=deployment.network.name, hint="give --steps")
    inputs = deployment.network.inputs
    shares = _measured_shares(deployment) if rate is None else {population.name: rate for population in inputs}
    if any(population.name not in shares for population in inputs):
        hint = "give --rate, the share of input values that are not 0"
        raise UsageError("the bundle has neither test vectors nor a measured activity", hint=hint)
    each = sum(steps * population.size * spike_type(population).itemsize for population in inputs)
    count = _affordable(images, each)
    generator = np.random.Generator(np.random.PCG64(seed))
    spikes = {p.name: _drawn(p, (steps, count), shares[p.name], generator) for p in inputs}
    rates = ", ".join(f"{share:.2%}" for share in dict.fromkeys(shares.values()))
    source = "as asked" if rate is not None else "the bundle's measured rate"
    return Stimuli(spikes, f"random spikes, {rates} of the input values not 0 ({source}), seed {seed}")


def _affordable(images: int, bytes_each: int) -> int:
    return max(1, min(images, LARGEST_STIMULUS // bytes_each))


def _measured_shares(deployment: Deployment) -> dict[str, float]:
    """Share of values that are not 0, by input population, from the activity among the deployment's figures."""
    activity = activity_in(deployment.figures)
    if activity is None:
        return {}
    input_steps = max(1, activity.steps - deployment.network.latency())
    found = {}
    for each in activity.populations:
        population = deployment.network[each.name]
        if population.is_input:
            mean = each.spikes / (activity.samples * input_steps * each.neurons)
            typical = max(1.0, float(_values(population).mean())) if population.spike_range[1] > 0 else 1.0
            found[each.name] = min(1.0, max(0.0, mean / typical))
    return found


def _values(population: Population) -> NDArray[np.int64]:
    """The values of one spike of an input, 0 apart."""
    low, high = population.spike_range
    values = np.arange(low, high + 1, dtype=np.int64)
    present: NDArray[np.int64] = values[values != 0]
    return present


def _drawn(population: Population, leading: tuple[int, int], share: float, generator: np.random.Generator) -> Array:
    """Values `[T, N, *shape]`, uniform over the population's range where not 0; step by step to save memory."""
    spikes = np.zeros((*leading, *population.shape), spike_type(population))
    values = _values(population).astype(spikes.dtype)
    for step in spikes if len(values) else ():
        active = generator.random(step.shape, dtype=np.float32) < share
        step[active] = generator.choice(values, np.count_nonzero(active))
    return spikes

"""Test vectors: recorded by the emulator, replayed on any machine, compared bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.backend import Backend
from nmdeploy.deployment import Deployment, TestVectors
from nmdeploy.emulator.inputs import Inputs, check_inputs
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError
from nmdeploy.progress import Progress

Array = NDArray[Any]


@dataclass(frozen=True)
class Difference:
    """One place where a replay is not what was recorded.

    Attributes:
        variable: `spikes` or `potential`.
        population: the output population.
        step: time step, from 0 (potentials: the last).
        sample: index of the sample.
        neuron: index in the population.
        expected, found: the recorded value, and that of the run.
    """

    variable: str
    population: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.population}: {self.variable} of neuron {self.neuron} differs first at step {self.step}, "
            f"sample {self.sample}: expected {self.expected}, got {self.found}"
        )


@dataclass(frozen=True)
class ReplayReport:
    """The outcome of a replay.

    Attributes:
        origin: what ran.
        samples, steps: of the vectors.
        compared: integers compared (neurons x steps for spikes, and the final potentials).
        mismatches: how many of them differ.
        first: the earliest difference, spikes before potentials; None when there is none.
        counts: spikes of every output neuron in every sample of the run, `[N, *shape]`, by population.
        remarks: what the vendor's software or a board had to report of the run.
    """

    origin: str
    samples: int
    steps: int
    compared: int
    mismatches: int
    first: Difference | None
    counts: Mapping[str, Array] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.compared > 0 and self.mismatches == 0

    def __str__(self) -> str:
        text = (
            f"{self.samples} samples, {self.steps} steps, {self.origin}: "
            f"{self.compared} integers compared, {self.mismatches} mismatches"
        )
        lines = [
            text,
            *([] if self.first is None else [str(self.first)]),
            *(f"reported: {each}" for each in self.remarks),
        ]
        return "\n".join(lines)


def make_vectors(deployment: Deployment, inputs: Inputs) -> Deployment:
    """`deployment` with the test vectors that `record_vectors` makes; arguments and errors are the same."""
    return deployment.with_(vectors=record_vectors(deployment, inputs))


def record_vectors(deployment: Deployment, inputs: Inputs) -> TestVectors:
    """Test vectors of `deployment`: these inputs and what the emulator makes of them.

    Args:
        deployment: what to record.
        inputs: spikes by input population, `[T, N, *shape]`; the array alone when
            there is one input.

    Raises:
        NmdeployError: as from `nmdeploy.emulate`.
    """
    given = check_inputs(deployment.network, inputs, None).spikes
    result = emulate(deployment.network, given)
    outputs = deployment.network.outputs
    return TestVectors(
        inputs=given,
        spikes={name: result.spikes[name] for name in outputs},
        potentials={name: result.final_potentials[name].astype(np.int64) for name in outputs},
    )


def check_vectors(deployment: Deployment) -> TestVectors:
    """The test vectors of a deployment.

    Raises:
        DataError: when it carries none.
    """
    vectors = deployment.vectors
    if vectors is None or not vectors.spikes:
        raise DataError("the deployment carries no test vectors", where=deployment.network.name)
    return vectors


def replay(deployment: Deployment, backend: Backend | None = None, progress: Progress | None = None) -> ReplayReport:
    """Run the test vectors of `deployment` anew and compare every integer.

    Args:
        deployment: it carries the vectors.
        backend: what runs them; None for the emulator.
        progress: called with (samples done, samples in all).

    Raises:
        DataError: when there are no vectors, or they do not fit the network.
        NmdeployError: as from `nmdeploy.emulate`, or from the backend.
    """
    vectors = check_vectors(deployment)
    steps = max(len(spikes) for spikes in vectors.spikes.values())
    record = Recording(spikes=tuple(vectors.spikes), counts=())
    if backend is None:
        result = emulate(deployment.network, vectors.inputs, steps=steps, record=record, progress=progress)
    else:
        result = backend.run(deployment, vectors.inputs, steps=steps, record=record, progress=progress)
    pairs = [("spikes", name, expected, result.spikes.get(name)) for name, expected in vectors.spikes.items()]
    final = result.final_potentials
    pairs += [("potential", name, expected, final.get(name)) for name, expected in vectors.potentials.items()]
    compared, mismatches, found = 0, 0, []
    for variable, name, expected, got in pairs:
        if got is None or got.shape != expected.shape:
            shape = "nothing" if got is None else got.shape
            raise DataError("test vectors do not fit the network", where=name, found=expected.shape, limit=shape)
        different = np.argwhere(expected != got)
        compared, mismatches = compared + expected.size, mismatches + len(different)
        if len(different):
            found.append(_difference(variable, name, different[0], expected, got, steps))
    first = min(found, key=lambda each: (each.variable != "spikes", each.step), default=None)
    counts = {name: result.spikes[name].sum(axis=0, dtype=np.int64) for name in vectors.spikes}
    return ReplayReport(result.origin, result.samples, steps, compared, mismatches, first, counts, result.remarks)


def _difference(variable: str, name: str, index: Array, expected: Array, got: Array, steps: int) -> Difference:
    place = tuple(int(i) for i in index)
    step, sample, *neuron = place if variable == "spikes" else (steps - 1, *place)
    return Difference(variable, name, step, sample, tuple(neuron), int(expected[place]), int(got[place]))

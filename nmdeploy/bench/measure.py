"""The measurement: whole runs for the speed, one more run with a stop-watch in every layer for the shares."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.bench.stimuli import Stimuli, stimuli
from nmdeploy.deployment import Deployment
from nmdeploy.emulator import compiled
from nmdeploy.emulator.result import Result
from nmdeploy.emulator.run import Engine, emulate
from nmdeploy.emulator.timings import Timings
from nmdeploy.errors import CheckFailed, UsageError
from nmdeploy.inference import join
from nmdeploy.machine import Machine, this_machine
from nmdeploy.network import Network
from nmdeploy.progress import Progress

CHECKED_STEPS = 8
"""Input steps in which random inputs are compared with the slow reference, for one image."""


@dataclass(frozen=True)
class Layer:
    """One population and everything that enters it.

    Attributes:
        name: the population.
        neurons: its size.
        spike_rate: spikes of one neuron in one step, on average.
        operations: synaptic operations that enter it, for one image.
        seconds: spent in it in the run with stop-watches, summed over threads.
        kernels: sample-steps computed by each kernel.
    """

    name: str
    neurons: int
    spike_rate: float
    operations: float
    seconds: float
    kernels: Mapping[str, int]


@dataclass(frozen=True)
class Benchmark:
    """Measured speed of one deployment on one machine.

    Attributes:
        network, chip, profile: what ran.
        origin: the engine that ran.
        threads: threads over images; None in the numpy engine, where BLAS decides.
        images: emulated in each run.
        steps: of one image, with those the last layers need to finish.
        inputs: what was fed, in words.
        check: what the output spikes were compared with, in words.
        wall_seconds: of each run, from input spikes to result.
        cpu_seconds: of each run, all threads of the process together.
        layers: in the network's order.
        machine: on which, with the load when the measurement began.
    """

    network: str
    chip: str
    profile: str
    origin: str
    threads: int | None
    images: int
    steps: int
    inputs: str
    check: str
    wall_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    layers: tuple[Layer, ...]
    machine: Machine

    @property
    def images_per_second(self) -> float:
        """Images over the median wall time."""
        return self.images / statistics.median(self.wall_seconds)

    @property
    def cpu_ms_per_image(self) -> float:
        """Median processor time of one image, in milliseconds."""
        return 1e3 * statistics.median(self.cpu_seconds) / self.images

    @property
    def operations(self) -> float:
        """Synaptic operations of one image: spikes times fan-out."""
        return sum(layer.operations for layer in self.layers)

    @property
    def operations_per_second(self) -> float:
        """Synaptic operations over the median wall time."""
        return self.operations * self.images_per_second


def bench(
    deployment: Deployment,
    *,
    images: int = 100,
    repeats: int = 5,
    threads: int = 1,
    engine: Engine = "fast",
    rate: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure how fast a deployment is emulated here.

    One run warms up and is checked bit by bit: against the test vectors' expected
    spikes, or for random inputs against the reference (one image, `CHECKED_STEPS`
    input steps). Then `repeats` runs are timed, and one more that times every layer.

    Args:
        deployment: what to run.
        images: how many in each run.
        repeats: timed runs.
        threads: threads over images, in the compiled engine.
        engine: as for `emulate`.
        rate, steps, seed: of random inputs, see `stimuli`; the test vectors where both are None.
        progress: called after every run.

    Raises:
        UsageError: for fewer than one image, run or thread, for threads in the numpy
            engine, or for inputs that nothing tells.
        CheckFailed: when an output spike is not what it must be.
    """
    for name, value in (("images", images), ("repeats", repeats), ("threads", threads)):
        if value < 1:
            raise UsageError("at least one is needed", where=name, found=value)
    on_numpy = engine == "numpy" or not compiled.sets()
    if on_numpy and threads > 1:
        hint = "set OMP_NUM_THREADS for BLAS, or use the compiled engine"
        raise UsageError("the numpy engine has no threads of its own", found=threads, limit=1, hint=hint)
    given = stimuli(deployment, images, rate=rate, steps=steps, seed=seed)
    machine = this_machine()
    runner = _Runner(deployment.network, given, images, threads, engine)
    check = _check(runner)
    wall, cpu = [], []
    for done in range(repeats):
        began, began_cpu = perf_counter(), process_time()
        runner.run()
        wall.append(perf_counter() - began)
        cpu.append(process_time() - began_cpu)
        if progress is not None:
            progress(done + 1, repeats)
    timings = Timings()
    result = runner.run(timings)
    return Benchmark(
        deployment.network.name,
        deployment.chip,
        deployment.profile.name,
        result.origin,
        None if on_numpy else threads,
        images,
        result.steps,
        given.about if given.images >= images else f"{given.about}; {given.images} of them, again and again",
        check,
        tuple(wall),
        tuple(cpu),
        _layers(deployment.network, result, timings),
        machine,
    )


@dataclass(frozen=True)
class _Runner:
    """Runs all images, in as many calls as the stimuli's memory needs."""

    network: Network
    given: Stimuli
    images: int
    threads: int
    engine: Engine

    def run(self, timings: Timings | None = None) -> Result:
        """One run of all images; the results are joined."""
        return join([self.part(first, timings) for first in range(0, self.images, self.given.images)])

    def part(self, first: int, timings: Timings | None = None) -> Result:
        """One call, of the images from `first` on."""
        spikes = self.given.first(self.images - first).spikes
        return emulate(
            self.network, spikes, steps=self.given.steps, engine=self.engine, threads=self.threads, timings=timings
        )


def _check(runner: _Runner) -> str:
    """Compare one run's output spikes with what they must be; the comparison in words."""
    given, network = runner.given, runner.network
    if given.expected:
        _compare(runner.part(0).spikes, given.first(runner.images).expected or {}, network.name)
        return "output spikes equal the test vectors' in all images"
    short = given.first(1, CHECKED_STEPS)
    steps = next(iter(short.spikes.values())).shape[0] + network.latency()
    expected = emulate(network, short.spikes, engine="reference").spikes
    found = emulate(network, short.spikes, engine=runner.engine).spikes
    _compare(found, expected, network.name)
    return f"output spikes equal the reference's in 1 image of {steps} steps"


def _compare(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]], where: str) -> None:
    for name, spikes in expected.items():
        different = int(np.count_nonzero(found[name] != spikes))
        if different:
            raise CheckFailed(
                "the engine's spikes are not what they must be",
                where=f"{where}, {name}",
                found=f"{different} of {spikes.size} differ",
            )


def _layers(network: Network, result: Result, timings: Timings) -> tuple[Layer, ...]:
    layers = []
    for population in network.populations:
        entering = dict.fromkeys(projection.name for projection in network.into(population.name))
        operations = sum(float(result.synaptic_operations[name].sum()) for name in entering)
        spikes = float(result.total_spikes[population.name].sum())
        layers.append(
            Layer(
                population.name,
                population.size,
                spikes / (result.samples * result.steps * population.size),
                operations / result.samples,
                timings.seconds.get(population.name, 0.0),
                dict(timings.kernels.get(population.name, {})),
            )
        )
    return tuple(layers)

"""Runs a PyNN network on input spikes, a sample at a time from a fresh state, and records it.

Spikes go in as `[T, N, *shape]` (steps, samples, the population's shape) and come out
likewise. Every sample has populations of its own: `reset` of sPyNNaker need not clear
spikes that are still in a ring buffer. `--together` puts several samples side by side
into one simulation, which takes that many times the cores and fewer set-ups.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parts = list[Any]


class Network(NamedTuple):
    """What a generated script says of its network.

    Attributes:
        sim: the PyNN back end, or a function that imports one by name.
        chip: module of this package that puts it in the back end's terms.
        build: makes a sample's populations and projections. Takes `sim` and the spikes `[T, *shape]`
            of every input by name, returns the neurons by name, each population as a list of its parts.
        inputs, neurons: shapes by name.
        latency: steps from the last input spike to the last output spike.
        outputs: names of the populations that are read out.
        exact: whether results are those of the chip, to the bit.
        time_scale_factor: milliseconds that a step of 1 ms takes, so that no core falls behind.
    """

    sim: Any
    chip: Any
    build: Callable[[Any, Mapping[str, Array]], Mapping[str, Parts]]
    inputs: Mapping[str, tuple[int, ...]]
    neurons: Mapping[str, tuple[int, ...]]
    latency: int
    outputs: tuple[str, ...]
    exact: bool
    time_scale_factor: int = 1


class Settings(NamedTuple):
    """How samples are run.

    Attributes:
        steps: of a sample.
        record: names of the populations whose potential is recorded at every step.
        spikes: names of the populations whose spikes are recorded.
        together: samples in one simulation.
        time_scale_factor: milliseconds that the chip takes for a step of 1 ms.
    """

    steps: int
    record: tuple[str, ...] = ()
    spikes: tuple[str, ...] = ()
    together: int = 1
    time_scale_factor: int = 1


def main(network: Network, folder: Path, arguments: list[str] | None = None) -> None:
    """The command line of a generated script.

    Args:
        network: what it runs.
        folder: where the script lies; `inputs.npz` in it is the default input.
        arguments: instead of those of the command line.
    """
    options = parse(network, arguments, folder)
    if options.end_with_stdin:
        threading.Thread(target=end_with_stdin, daemon=True).start()
    if not network.exact:
        network = network._replace(sim=network.sim(options.simulator))
    execute(network, options)


def execute(network: Network, options: argparse.Namespace) -> None:
    """Run, print the spike counts, write the result, compare it where the output is known."""
    with np.load(options.inputs) as file:
        inputs = {name: file[name] for name in network.inputs}
        expected = {name: file[f"{name}.expected"] for name in network.outputs if f"{name}.expected" in file}
    steps = options.steps or len(next(iter(inputs.values()))) + network.latency
    names = tuple(network.neurons)
    settings = Settings(
        steps,
        names if options.potentials else tuple(options.record),
        names if options.all_spikes else network.outputs,
        options.together,
        options.time_scale_factor,
    )
    result = run(network, inputs, settings)
    for name in network.outputs:
        print(f"{name}: spikes of each neuron, a line for each sample")
        for counts in result[f"{name}.spikes"].sum(axis=0, dtype=np.int64):
            print(" ", *counts.ravel())
    np.savez(options.out, **result)  # type: ignore[arg-type]
    print(f"written: {options.out}")
    if expected and options.steps is None:
        compare(expected, result, network.exact)


def parse(network: Network, arguments: list[str] | None, folder: Path) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Run the network with PyNN.")
    parser.add_argument("--inputs", type=Path, default=folder / "inputs.npz", help="Input spikes, see README.md.")
    parser.add_argument(
        "--out", type=Path, default=Path("spikes.npz"), help="Where to write spikes; default: %(default)s."
    )
    parser.add_argument("--steps", type=int, help="Steps of a sample; default: those of the input and the latency.")
    parser.add_argument("--potentials", action="store_true", help="Record the potential of every neuron too.")
    parser.add_argument("--all-spikes", action="store_true", help="Record the spikes of every neuron.")
    parser.add_argument("--record", action="append", default=[], metavar="NAME", help="Record one potential.")
    parser.add_argument("--together", type=int, default=1, help="Samples in one simulation; default: %(default)s.")
    if network.exact:
        factor, words = network.time_scale_factor, "Milliseconds that a step of 1 ms takes; default: %(default)s."
        parser.add_argument("--time-scale-factor", type=int, default=factor, help=words)
    else:
        parser.add_argument("--simulator", default="brian2", help="PyNN's back end; default: %(default)s.")
        parser.set_defaults(time_scale_factor=1)
    parser.add_argument("--end-with-stdin", action="store_true", help="End when standard input is closed.")
    return parser.parse_args(arguments)


def end_with_stdin() -> None:
    """Wait for the end of standard input, then end this process and those it started."""
    while os.read(0, 1024):
        pass
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGTERM)
    os._exit(1)


def compare(expected: Mapping[str, Array], result: Mapping[str, Array], exact: bool) -> None:
    """Print whether the output spikes are those that nmdeploy emulated; exit with 1 where an exact back end differs."""
    wrong = sum(np.count_nonzero(result[f"{name}.spikes"] != spikes) for name, spikes in expected.items())
    compared = sum(spikes.size for spikes in expected.values())
    print(f"{compared} output spikes compared with nmdeploy's emulator: {wrong} differences")
    if not exact:
        print("this back end is not bit-exact; differences are no fault")
    sys.exit(1 if wrong and exact else 0)


def run(network: Network, inputs: Mapping[str, Array], settings: Settings) -> dict[str, Array]:
    """Run every sample from a fresh state.

    Args:
        network: what to run.
        inputs: spikes by input, `[T, N, *shape]`; silent after T.
        settings: how.

    Returns:
        By key: `name.spikes` uint8 `[steps, N, *shape]`, `name.v` likewise, where recorded, and
        `name.final_v` `[N, *shape]` of the outputs, after the last step. Potentials at the
        end of a step, int64 counting 1/32768 where the back end is exact, else float64.
    """
    samples = next(iter(inputs.values())).shape[1]
    parts = []
    for start in range(0, samples, settings.together):
        chosen = range(start, min(start + settings.together, samples))
        batch = [{name: values[: settings.steps, sample] for name, values in inputs.items()} for sample in chosen]
        parts += run_together(network, batch, settings)
        print(f"sample {len(parts)} of {samples}", flush=True)
    axes = {key: 0 if key.endswith(".final_v") else 1 for key in parts[0]}
    return {key: np.stack([part[key] for part in parts], axis=axis) for key, axis in axes.items()}


def run_together(network: Network, batch: list[dict[str, Array]], settings: Settings) -> list[dict[str, Array]]:
    """Several samples side by side in one simulation; the recordings of each."""
    sim = network.sim
    network.chip.setup(sim, settings.time_scale_factor)
    try:
        built = [network.build(sim, spikes) for spikes in batch]
        potentials = {*settings.record, *network.outputs}
        for neurons in built:
            start_recording(neurons, settings.spikes, potentials)
        # The potential is recorded before a step's update, so one step more is run.
        sim.run(float(settings.steps + 1))
        recorded = [recordings(network, neurons, settings) for neurons in built]
        for message in network.chip.messages():
            print(f"warning: {' '.join(message.split())}")
    finally:
        sim.end()
    return recorded


def start_recording(neurons: Mapping[str, Parts], spikes: tuple[str, ...], potentials: set[str]) -> None:
    """Have spikes and potentials recorded."""
    for name, parts in neurons.items():
        for part in parts:
            if name in spikes:
                part.record("spikes")
            if name in potentials:
                part.record("v")


def recordings(network: Network, neurons: Mapping[str, Parts], settings: Settings) -> dict[str, Array]:
    """What a sample's populations recorded, by key as in `run`, without the axis of samples."""
    result: dict[str, Array] = {}
    for name, parts in neurons.items():
        shape = network.neurons[name]
        if name in settings.spikes:
            result[f"{name}.spikes"] = in_shape([spike_raster(part, settings.steps) for part in parts], shape)
        if name in settings.record or name in network.outputs:
            v = in_shape([potential(part, settings.steps, network.exact) for part in parts], shape)
            if name in settings.record:
                result[f"{name}.v"] = v
            if name in network.outputs:
                result[f"{name}.final_v"] = v[-1]
    return result


def in_shape(parts: list[Array], shape: tuple[int, ...]) -> Array:
    """Recordings `[steps, neurons]` of the parts as `[steps, *shape]`, without neurons that only fill up a core."""
    size = int(np.prod(shape)) // len(parts)
    return np.concatenate([part[:, :size] for part in parts], axis=1).reshape(-1, *shape)


def spike_raster(population: Any, steps: int) -> Array:
    """Spikes of a PyNN population, uint8 `[steps, neurons]`: a spike at t ms is one of step t."""
    raster = np.zeros((steps, population.size), dtype=np.uint8)
    for train in population.get_data("spikes").segments[-1].spiketrains:
        times = np.rint(np.asarray(train.magnitude)).astype(np.int64)
        raster[times[times < steps], int(train.annotations["source_index"])] = 1
    return raster


def potential(population: Any, steps: int, exact: bool) -> Array:
    """Potential at the end of each step, `[steps, neurons]`: what is recorded at t + 1 ms.

    Raises:
        RuntimeError: when fewer steps were recorded.
    """
    signal_ = population.get_data("v").segments[-1].filter(name="v")[0]
    values = np.asarray(signal_.magnitude, dtype=np.float64)[1 : steps + 1]
    if values.shape != (steps, population.size):
        raise RuntimeError(f"{population.label}: recorded {values.shape}, expected {(steps, population.size)}")
    return np.rint(values * 32768).astype(np.int64) if exact else values

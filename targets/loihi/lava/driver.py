"""Runs a network of Lava Processes on input spikes and collects what its neurons did.

Spikes go in as `[T, N, C, H, W]` or `[T, N, n]` (steps, samples, the population's shape)
and come out likewise; Lava itself orders space (W, H, C) and runs one sample after the
other. An input spike of step t acts one step later, the latency of a Lava connection.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
WATCH_S = 0.2
"""Seconds between two looks for failed processes."""
LARGEST_SOURCE = 1 << 26
"""Bytes of input spikes handed to Lava at once; more samples than that take several Lava runs."""


class Network(NamedTuple):
    """What a generated script says of its network.

    Attributes:
        build: makes the Processes and connects them. Takes the sending port of every input
            by name, returns the LIF Processes by name.
        inputs, neurons: shapes, in nmdeploy's order, by name.
        silence: steps after a sample until no spike is in flight: the longest delay.
        latency: steps from the last input spike to the last output spike.
        outputs: names of the populations that are read out.
    """

    build: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    inputs: Mapping[str, tuple[int, ...]]
    neurons: Mapping[str, tuple[int, ...]]
    silence: int
    latency: int
    outputs: tuple[str, ...]


def main(network: Network, folder: Path, arguments: list[str] | None = None) -> None:
    """The command line of a generated script.

    Args:
        network: what it runs.
        folder: where the script lies; `inputs.npz` in it is the default input.
        arguments: instead of those of the command line.
    """
    options = parse(arguments, folder)
    if options.end_with_stdin:
        threading.Thread(target=end_with_stdin, daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start without it
    try:
        execute(network, options)
    except (Exception, KeyboardInterrupt):  # noqa: BLE001  Lava raises anything
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # at a plain exit, Lava's destructors would wait for processes that are gone


def execute(network: Network, options: argparse.Namespace) -> None:
    """Run, print the spike counts, write the result, compare it where the output is known."""
    with np.load(options.inputs) as file:
        inputs = {name: file[name] for name in network.inputs}
        expected = {name: file[f"{name}.expected"] for name in network.outputs if f"{name}.expected" in file}
    steps = options.steps or len(next(iter(inputs.values()))) + network.latency
    if options.potentials:
        options.record += [f"{name}.{variable}" for name in network.neurons for variable in "uv"]
    if options.device == "loihi2":
        from .hardware import choose_host

        choose_host(options.board)
    result = run(network, inputs, steps, options.record, options.device)
    for name in network.outputs:
        print(f"{name}: spikes of each neuron, a line for each sample")
        for counts in result[f"{name}.spikes"].sum(axis=0, dtype=np.int64):
            print(" ", *counts.ravel())
    np.savez(options.out, **result)  # type: ignore[arg-type]
    print(f"written: {options.out}")
    if expected and options.steps is None:
        compare(expected, result)


def parse(arguments: list[str] | None, folder: Path) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Run the network on Lava.")
    parser.add_argument("--inputs", type=Path, default=folder / "inputs.npz", help="Input spikes, see README.md.")
    parser.add_argument(
        "--out", type=Path, default=Path("spikes.npz"), help="Where to write spikes; default: %(default)s."
    )
    parser.add_argument("--steps", type=int, help="Steps of a sample; default: those of the input and the latency.")
    parser.add_argument("--potentials", action="store_true", help="Record u and v of every neuron too.")
    parser.add_argument("--record", action="append", default=[], metavar="NAME.u|v", help="Record one variable.")
    parser.add_argument("--device", choices=("cpu", "loihi2"), default="cpu", help="default: %(default)s")
    parser.add_argument("--board", help="SLURM node or host address of a board; default: as the environment says.")
    parser.add_argument("--end-with-stdin", action="store_true", help="End when standard input is closed.")
    options = parser.parse_args(arguments)
    if options.device == "loihi2" and (options.potentials or options.record):
        parser.error("potentials cannot be recorded on a board")
    return options


def end_with_stdin() -> None:
    """Wait for the end of standard input, then end this process and those it forked."""
    # Not through sys.stdin: its lock would be taken at a fork, and stop the new process.
    while os.read(0, 1024):
        pass
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGTERM)
    os._exit(1)


def compare(expected: Mapping[str, Array], result: Mapping[str, Array]) -> None:
    """Print whether the output spikes are those that nmdeploy emulated; exit with 1 where they are not."""
    wrong = sum(np.count_nonzero(result[f"{name}.spikes"] != spikes) for name, spikes in expected.items())
    compared = sum(spikes.size for spikes in expected.values())
    print(f"{compared} output spikes compared with nmdeploy's emulator: {wrong} differences")
    sys.exit(1 if wrong else 0)


def run(
    network: Network, inputs: Mapping[str, Array], steps: int, variables: list[str], device: str = "cpu"
) -> dict[str, Array]:
    """Run every sample from a fresh state.

    Args:
        network: what to run.
        inputs: spikes by input, `[T, N, *shape]`; silent after T.
        steps: steps of a sample.
        variables: what to record beside the spikes: `name.u` and `name.v`, at the end of a step.
        device: `cpu`, or `loihi2` for a board, which records spikes and `final_v` of the outputs only.

    Returns:
        By key: `name.spikes` uint8 `[steps, N, *shape]`, `name.u` and `name.v` int32
        likewise, `name.final_v` int32 `[N, *shape]`, after the last step.
    """
    if device == "loihi2":
        return _run_on_board(network, inputs, steps)
    samples = next(iter(inputs.values())).shape[1]
    largest = max(int(np.prod(shape)) for shape in network.inputs.values())
    batch = max(1, LARGEST_SOURCE // (4 * largest * (steps + network.silence)))
    parts = []
    for start in range(0, samples, batch):
        part = {name: values[:steps, start : start + batch] for name, values in inputs.items()}
        parts.append(_run_batch(network, part, steps, variables, (start, samples)))
    axes = {key: 0 if key.endswith(".final_v") else 1 for key in parts[0]}
    return {key: np.concatenate([part[key] for part in parts], axis=axis) for key, axis in axes.items()}


def _run_on_board(network: Network, inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """Each sample in a run of its own; spikes and final potentials of the outputs alone."""
    from .hardware import run_sample

    samples = next(iter(inputs.values())).shape[1]
    parts = []
    for sample in range(samples):
        one = {name: in_lava_order(values[:steps, sample : sample + 1], steps) for name, values in inputs.items()}
        parts.append(run_sample(network, one, steps))
        report(sample + 1, samples)
    result: dict[str, Array] = {}
    for name in network.outputs:
        # [N, *shape, T] and [N, *shape], shape reversed
        spikes = np.stack([part[f"{name}.spikes"] for part in parts]).astype(np.uint8)
        final = np.stack([part[f"{name}.final_v"] for part in parts]).astype(np.int32)
        result[f"{name}.spikes"] = spikes.transpose(spikes.ndim - 1, 0, *range(spikes.ndim - 2, 0, -1))
        result[f"{name}.final_v"] = final.transpose(0, *range(final.ndim - 1, 0, -1))
    return result


def report(done: int, samples: int) -> None:
    """Tell that a sample is done."""
    print(f"sample {done} of {samples}", flush=True)


def _run_batch(
    network: Network, inputs: Mapping[str, Array], steps: int, variables: list[str], done: tuple[int, int]
) -> dict[str, Array]:
    """Several samples in one Lava run; `done` are the samples before them, and those in all."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer

    from .neurons import PROCESS_MODELS, Schedule

    schedule = Schedule(steps, network.silence)
    samples = next(iter(inputs.values())).shape[1]
    sources = {name: RingBuffer(data=in_lava_order(values, schedule.period)) for name, values in inputs.items()}
    neurons = network.build({name: source.s_out for name, source in sources.items()})
    with tempfile.TemporaryDirectory() as scratch, supervised(neurons):
        files = recordings(Path(scratch), network.neurons, (samples, steps), variables)
        for name, process in neurons.items():
            process.proc_params["schedule"], process.proc_params["recordings"] = schedule, files[name]
        configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=PROCESS_MODELS)
        for sample in range(samples):
            for process in heads(neurons):
                process.run(condition=RunSteps(num_steps=schedule.period), run_cfg=configuration)
            report(done[0] + sample + 1, done[1])
        return collected(files)


def in_lava_order(values: Array, period: int) -> Array:
    """Spikes `[T, N, *shape]` as int32 `[*shape reversed, N * period]`, each sample followed by silence."""
    steps, samples, *shape = values.shape
    padded = np.zeros((samples, period, *shape), dtype=np.int32)
    padded[:, :steps] = np.moveaxis(values, 1, 0)
    return np.ascontiguousarray(padded.reshape(samples * period, *shape).T)


def heads(neurons: Mapping[str, Any]) -> Iterator[Any]:
    """One LIF Process of each connected part of the network; running it runs the part."""
    seen: list[Any] = []
    for process in neurons.values():
        if process.runtime is None or not any(process.runtime is each for each in seen):
            yield process
            seen.append(process.runtime)


@contextmanager
def supervised(neurons: Mapping[str, Any]) -> Iterator[None]:
    """Stop Lava at the end; where a ProcessModel raises, which Lava would wait out for ever, tell its traceback.

    Raises:
        RuntimeError: with that traceback.
    """
    finished, failures = threading.Event(), list[str]()
    # A program that was started in the background ignores interrupts; `watch` needs them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=watch, args=(neurons, finished, failures), daemon=True).start()
    try:
        yield
    except BaseException:
        for each in infrastructure(neurons):
            for actor in each.actors:
                actor.terminate()
            each.smm.shutdown()  # frees the shared memory
        if failures:
            raise RuntimeError(failures[0]) from None
        raise
    finally:
        finished.set()
        signal.signal(signal.SIGINT, before)
    for process in neurons.values():
        process.stop()


def watch(neurons: Mapping[str, Any], finished: threading.Event, failures: list[str]) -> None:
    """Look for exceptions in Lava's operating system processes; interrupt the main thread at the first."""
    while not finished.wait(WATCH_S):
        actors = [actor for each in infrastructure(neurons) for actor in each.actors]
        failures += [actor.exception[1] for actor in actors if actor.exception]
        if failures:
            os.kill(os.getpid(), signal.SIGINT)
            return


def infrastructure(neurons: Mapping[str, Any]) -> list[Any]:
    """What Lava started: operating system processes (`actors`) and shared memory (`smm`); it has no public name."""
    runtimes = {id(process.runtime): process.runtime for process in neurons.values() if process.runtime is not None}
    started = [runtime._messaging_infrastructure for runtime in runtimes.values()]
    return [each for each in started if each is not None]


def recordings(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], leading: tuple[int, int], variables: list[str]
) -> dict[str, dict[str, Path]]:
    """New `.npy` files, one for each array to record: paths by population and variable.

    Lava's own Monitor would take a process for each variable, and hands out its values one by one.
    """
    files: dict[str, dict[str, Path]] = {}
    for index, (name, shape) in enumerate(shapes.items()):
        wanted = {"spikes": (np.uint8, leading), "final_v": (np.int32, leading[:1])}
        wanted |= {variable: (np.int32, leading) for variable in "uv" if f"{name}.{variable}" in variables}
        files[name] = {}
        for variable, (dtype, axes) in wanted.items():
            files[name][variable] = path = folder / f"{index}-{variable}.npy"
            np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(*axes, *shape[::-1])).flush()
    return files


def collected(files: Mapping[str, Mapping[str, Path]]) -> dict[str, Array]:
    """The recordings as arrays in memory, `[steps, N, *shape]`."""
    result = {}
    for name, paths in files.items():
        for variable, path in paths.items():
            values = np.load(path)
            leading = 1 if variable == "final_v" else 2
            values = values.transpose(*range(leading), *range(values.ndim - 1, leading - 1, -1))
            result[f"{name}.{variable}"] = np.ascontiguousarray(values if leading == 1 else np.moveaxis(values, 0, 1))
    return result

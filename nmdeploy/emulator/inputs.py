"""What the emulators accept: checks of inputs, steps and recordings, shared by all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.emulator.until import Until
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.network import Network, Population
from quantize.formats import smallest_dtype

Arrays = Mapping[str, NDArray[Any]] | NDArray[Any]
"""Spikes by input population, `[T, N, *shape]`; the array alone when there is one input."""


@dataclass(frozen=True)
class Stream:
    """Inputs that are made when their batch runs, so that not all of them lie in memory at once.

    Attributes:
        make: called with a slice of the samples, returns their spikes, `[T, n, *shape]`;
            with several threads from several of them.
        samples: how many there are.
        steps: input steps T of each.
    """

    make: Callable[[slice], Arrays]
    samples: int
    steps: int


Inputs = Arrays | Stream
"""Spikes, or what makes them."""


@dataclass(frozen=True)
class Stimulus:
    """Checked inputs of a run.

    Attributes:
        batch: the inputs of a slice of samples by population, `[T_in, n, *shape]` of
            `spike_type`; silent after T_in.
        steps: steps to run, input and latency together.
        samples: number of samples.
        until: when a sample ends before that; None for never.
    """

    batch: Callable[[slice], Mapping[str, NDArray[Any]]]
    steps: int
    samples: int
    until: Until | None = None

    @property
    def spikes(self) -> Mapping[str, NDArray[Any]]:
        """The inputs of all samples."""
        return self.batch(slice(0, self.samples))

    def length(self, start: int, block: int) -> int:
        """Steps of the block that begins at step `start`, `block` at most."""
        rest = min(block, self.steps - start)
        return rest if self.until is None else self.until.length(start, rest)


def spike_type(population: Population) -> np.dtype[Any]:
    """The type that spikes of `population` are kept in: uint8, unless their range is wider."""
    low, high = population.spike_range
    return smallest_dtype(min(low, 0), max(high, 0))


def check_inputs(network: Network, inputs: Inputs, steps: int | None) -> Stimulus:
    """Check `inputs` against the network's input populations.

    Args:
        network: the network to run.
        inputs: integers or booleans, `[T_in, N, *shape]`, by input population; or a stream of them.
        steps: steps to run; None means T_in plus the network's latency.

    Raises:
        UsageError: for wrong population names or a number of steps below 1.
        ShapeError: for arrays of wrong shape, or that differ in steps or samples.
        DataError: for arrays that are empty, not of integers, or outside the population's range.
    """
    if isinstance(inputs, Stream):
        return _stream(network, inputs, steps)
    checked, leading = _check_arrays(network, inputs)

    def batch(samples: slice) -> Mapping[str, NDArray[Any]]:
        return {name: array[:, samples] for name, array in checked.items()}

    return Stimulus(batch, _run_length(network, leading[0], steps), leading[1])


def _stream(network: Network, inputs: Stream, steps: int | None) -> Stimulus:
    """A stream's arrays are checked batch by batch, when they are made."""
    for name, size in (("samples", inputs.samples), ("steps", inputs.steps)):
        if size < 1:
            raise DataError(f"no {name}", where="Stream", found=size, limit="at least 1")

    def batch(samples: slice) -> Mapping[str, NDArray[Any]]:
        checked, leading = _check_arrays(network, inputs.make(samples))
        expected = (inputs.steps, samples.stop - samples.start)
        if leading != expected:
            raise ShapeError("a stream made other steps or samples", where="Stream", found=leading, limit=expected)
        return checked

    return Stimulus(batch, _run_length(network, inputs.steps, steps), inputs.samples)


def _run_length(network: Network, given: int, steps: int | None) -> int:
    run = given + network.latency() if steps is None else steps
    if run < 1:
        raise UsageError("a run has at least one step", where="steps", found=run)
    return run


def _check_arrays(network: Network, inputs: Arrays) -> tuple[dict[str, NDArray[Any]], tuple[int, int]]:
    """The arrays by name, in their populations' type, and their steps and samples."""
    arrays = _by_name(network, inputs)
    checked = {population.name: _checked(population, arrays[population.name]) for population in network.inputs}
    first = next(iter(checked))
    leading = checked[first].shape[:2]
    for name, array in checked.items():
        if array.shape[:2] != leading:
            raise ShapeError(
                "inputs differ in steps or samples",
                where=name,
                found=array.shape[:2],
                limit=f"{leading} as {first!r}",
            )
    return checked, (leading[0], leading[1])


def _by_name(network: Network, inputs: Arrays) -> Mapping[str, NDArray[Any]]:
    names = [population.name for population in network.inputs]
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            raise UsageError("several inputs are given as a dict by name", limit=", ".join(names))
        return {names[0]: inputs}
    if set(inputs) != set(names):
        found = ", ".join(map(str, inputs)) or "none"
        raise UsageError("the inputs' names are not the network's", found=found, limit=", ".join(names))
    return inputs


def _checked(population: Population, values: Any) -> NDArray[Any]:
    if not isinstance(values, np.ndarray):
        raise DataError("input spikes are a numpy array", where=population.name, found=type(values).__name__)
    expected = f"[{', '.join(['T', 'N', *map(str, population.shape)])}]"
    if values.ndim < 2 or values.shape[2:] != population.shape:
        raise ShapeError("input spikes have another shape", where=population.name, found=values.shape, limit=expected)
    if 0 in values.shape:
        raise DataError("no steps or no samples", where=population.name, found=values.shape, limit=expected)
    if values.dtype.kind not in "iub":
        raise DataError(
            "input spikes are integers",
            where=population.name,
            found=values.dtype,
            hint="encode the values as spikes first, or cast whole numbers with astype",
        )
    low, high = population.spike_range
    for extreme in (int(values.min()), int(values.max())):
        if not low <= extreme <= high:
            raise DataError(
                "an input spike is out of range",
                where=population.name,
                found=extreme,
                limit=f"{low}..{high}",
                hint="the range is the population's minimum and maximum",
            )
    return values.astype(spike_type(population), copy=False)


@dataclass(frozen=True)
class Selection:
    """A `Recording` with its names resolved against a network.

    Attributes:
        spikes, counts: names of populations.
        potentials: population and state variable by the name they are recorded under.
        steps: the recorded steps.
    """

    spikes: tuple[str, ...]
    potentials: Mapping[str, tuple[str, str]]
    counts: tuple[str, ...]
    steps: range


def select(network: Network, record: Recording, steps: int) -> Selection:
    """The populations and steps that `record` asks for.

    Raises:
        UsageError: for unknown names, potentials of an input, or steps counted backwards.
    """
    everything = tuple(population.name for population in network.populations)
    if record.steps.step is not None and record.steps.step < 1:
        raise UsageError("recorded steps run forwards", where="Recording.steps", found=record.steps)
    return Selection(
        _names("spikes", record.spikes, network.outputs, everything),
        _variables(network, record.potentials),
        _names("counts", record.counts, network.outputs, everything),
        range(steps)[record.steps],
    )


def _variables(network: Network, asked: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Population and state variable of each asked name: `name` means its `v`, `name.u` its `u`."""
    known: dict[str, tuple[str, str]] = {}
    for population in network.populations:
        if population.neuron is not None:
            state = population.neuron.initial_state((1, *population.shape), np.dtype(np.int64))
            known |= {f"{population.name}.{variable}": (population.name, variable) for variable in state}
    potentials = {name: (name, variable) for name, variable in known.values() if variable == "v"}
    names = _names("potentials", asked, (), tuple(potentials), extra=tuple(known))
    return {name: potentials.get(name) or known[name] for name in names}


def _names(
    field: str,
    asked: tuple[str, ...] | None,
    default: tuple[str, ...],
    known: tuple[str, ...],
    extra: tuple[str, ...] = (),
) -> tuple[str, ...]:
    if asked is None:
        return default
    if asked == (ALL,):
        return known
    for name in asked:
        if name not in (*known, *extra):
            raise UsageError(
                f"no population to record {field} of", where="Recording", found=repr(name), limit=", ".join(known)
            )
    return asked

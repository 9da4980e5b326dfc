"""A neuron's scan as the compiled kernels read it: tables of proven width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.compiled import Scan as ScanRecord
from nmdeploy.emulator.compiled import address
from nmdeploy.emulator.widths import INT32_LARGEST, INT64_LARGEST
from nmdeploy.emulator.windows import channels_last
from nmdeploy.network import Population
from nmdeploy.neurons import NeuronModel, Number, Scan
from nmdeploy.synapses import Shape

Array = NDArray[Any]
WORD = 64
_LARGEST_SHIFT = 31


@dataclass(frozen=True, eq=False)
class ScanPlan:
    """A scan ready to run.

    Attributes:
        dtype: of the potential and the tables, int32 or int64.
        initial: potentials before the first step, channels last, padded to whole words.
        refractory: silent steps after a spike.
        ceiling: where sums of one sign saturate; None where they do not.
        record: the nm_scan record.
        tables: what the record points to.
    """

    dtype: np.dtype[Any]
    initial: Array
    refractory: int
    ceiling: int | None
    record: Any
    tables: dict[str, Array]


def plan_scan(
    population: Population, neuron: NeuronModel, current: int, proven: int | None, steps: int
) -> ScanPlan | None:
    """The scan of a population's neurons; None where the model has none, or int64 may not hold it.

    Args:
        population: whose neurons step.
        neuron: the model that steps.
        current: no current is larger in magnitude; with signs apart, no sum of either sign.
        proven: no potential, nor any number on the way to it, is larger; None if nothing is known.
        steps: length of the run.
    """
    scan = neuron.scan(current)
    if scan is None or not 0 <= scan.shift <= _LARGEST_SHIFT:
        return None
    start = neuron.initial_state((1, *population.shape), np.dtype(np.int64))["v"][0]
    largest = _largest_number(scan, start, current, steps) if proven is None else proven
    if largest > INT64_LARGEST:
        return None
    dtype = np.dtype(np.int32 if largest <= INT32_LARGEST else np.int64)
    tables = _tables(scan, population.shape, dtype)
    initial = np.zeros(words_of(population.size) * WORD, dtype)
    initial[: population.size] = start.ravel()[channels_last(population.shape)]
    return ScanPlan(dtype, initial, scan.refractory, scan.ceiling, _record(scan, dtype, tables), tables)


def words_of(neurons: int) -> int:
    """64-bit words for the spikes of so many neurons."""
    return -(-neurons // WORD)


def _largest_number(scan: Scan, start: Array, current: int, steps: int) -> int:
    """A bound on every number of a run."""
    arriving = current if scan.ceiling is None else min(current, scan.ceiling)
    drive = (arriving << scan.shift) + _magnitude(scan.bias)
    taken = _magnitude(_taken(scan))
    held = _magnitude(start) + steps * (drive + taken)
    if scan.low is not None and scan.above is not None and scan.subtract is None and scan.wrap is None:
        # What is above fires, and is reset.
        held = max(_magnitude(end) for end in (start, scan.low, scan.above, scan.reset))
    elif scan.low is not None and scan.high is not None:
        held = max(_magnitude(start), _magnitude(scan.low), _magnitude(scan.high)) + taken
    elif scan.wrap is not None:
        held = max(_magnitude(start), 1 << scan.wrap.bits, 0 if scan.low is None else _magnitude(scan.low)) + taken
    others = sum(_magnitude(end) for end in (scan.low, scan.high, scan.above) if end is not None)
    return held + drive + taken + others


def _taken(scan: Scan) -> Number:
    """What a spike takes off, from zero where the potential is reset."""
    return np.negative(scan.reset, dtype=np.int64) if scan.subtract is None else scan.subtract


def _magnitude(value: Any) -> int:
    return max(abs(int(np.min(value))), abs(int(np.max(value))))


def _tables(scan: Scan, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Array]:
    """The parameters over one period of neurons, channels last."""
    edges = np.iinfo(dtype)
    given: dict[str, tuple[Any, int]] = {
        # name: value, and what stands where there is none
        "bias": (scan.bias, 0),
        "low": (scan.low, edges.min),
        "high": (scan.high, edges.max),
        "above": (scan.above, edges.max),
        "subtract": (_taken(scan), 0),
    }
    values = {name: absent if value is None else value for name, (value, absent) in given.items()}
    period = max(_period(np.asarray(value), shape) for value in values.values())
    return {name: _table(np.asarray(value), shape, period, dtype) for name, value in values.items()}


def _period(value: Array, shape: Shape) -> int:
    """Neurons, in whole words, after which a parameter repeats."""
    whole = words_of(math.prod(shape)) * WORD
    if value.size == 1:
        return WORD
    per_channel = len(shape) == 3 and value.ndim == 3 and value.shape[1:] == (1, 1)
    return min(whole, math.lcm(shape[0], WORD)) if per_channel else whole


def _table(value: Array, shape: Shape, period: int, dtype: np.dtype[Any]) -> Array:
    every = np.broadcast_to(value, shape).ravel()[channels_last(shape)]
    # Neurons beyond the last are computed too, with any parameters: their spikes are cut off.
    repeated = np.resize(every, period)
    # No potential gets beyond the type (proven), so an end or threshold beyond it may lie at its edge.
    return np.clip(repeated, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def _record(scan: Scan, dtype: np.dtype[Any], tables: dict[str, Array]) -> Any:
    form = scan.wrap
    return ScanRecord(
        width=8 * dtype.itemsize,
        period=len(tables["bias"]),
        **{name: address(table) for name, table in tables.items()},
        plain=_is_plain(scan, tables),
        shift=scan.shift,
        wraps=form is not None,
        mask=0 if form is None else (1 << form.bits) - 1,
        sign=0 if form is None or not form.signed else 1 << (form.bits - 1),
        clips=scan.low is not None or scan.high is not None,
        zero=scan.subtract is None,
        refractory=scan.refractory,
        ceiling=INT64_LARGEST if scan.ceiling is None else scan.ceiling,
    )


def _is_plain(scan: Scan, tables: dict[str, Array]) -> bool:
    """Whether neurons only compare with one threshold and subtract one number."""
    free = scan.wrap is None and scan.low is None and scan.high is None
    alike = all(bool(np.all(tables[name] == tables[name][0])) for name in ("above", "subtract"))
    return alike and free and scan.subtract is not None and not (scan.shift or scan.refractory or tables["bias"].any())

"""What of an integer network runs on compiled kernels, and in which widths.

Currents are summed in 16 bits where the static bounds prove that they fit, else in 32,
else in 64; within a step sums may wrap, since only their proven final value counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.bands import plan_bands
from nmdeploy.emulator.compiled import EXACT, SATURATE, UNROLLED, WINDOWS, WRAP, address, padded
from nmdeploy.emulator.dense import plan_dense, plan_narrow
from nmdeploy.emulator.scans import ScanPlan, plan_scan
from nmdeploy.emulator.signed import largest_sum, together
from nmdeploy.emulator.stages import Stage
from nmdeploy.emulator.widths import INT16_LARGEST, INT32_LARGEST, Part, Widths
from nmdeploy.emulator.windows import Windows, channels_last, windows_of
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import NeuronModel
from quantize import IntegerFormat, Overflow

Array = NDArray[Any]
LARGEST_UNROLLED = 1 << 24
"""Synapses of the largest projection that is unrolled into a sparse matrix."""
LARGEST_OFFSET = (1 << 31) - 1
"""Weights of the largest projection: kernels count them in 32 bits."""
_LARGEST_SHIFT = 63


@dataclass(frozen=True)
class Scratch:
    """Memory that a projection's kernels need; one of each serves all projections of a population.

    Attributes:
        events, census: 32-bit numbers.
        listed: 64-bit numbers.
        plane, bytes: bytes.
    """

    events: int = 0
    listed: int = 0
    census: int = 0
    plane: int = 0
    bytes: int = 0


@dataclass(frozen=True, eq=False)
class MapPlan:
    """A projection, or its half by sign, ready for the kernels.

    Attributes:
        source: the population it comes from.
        delay: in steps.
        record: the nm_map record.
        arrays: what the record points to.
        scratch: what its kernels need.
    """

    source: Population
    delay: int
    record: Any
    arrays: dict[str, Array]
    scratch: Scratch


def largest_scratch(maps: Sequence[MapPlan]) -> Scratch:
    """Enough for each of some projections."""
    return Scratch(*(max((getattr(each.scratch, part.name) for each in maps), default=0) for part in fields(Scratch)))


@dataclass(frozen=True, eq=False)
class StagePlan:
    """A population and how its steps are computed.

    Attributes:
        stage: the numpy engine's, for what is not compiled.
        width: bits of the currents.
        halves: compiled maps: one group, or by sign two where signs are apart and the model's own `step` runs; empty
            for an input and where numpy computes all.
        scan: the neurons' step; None where the model's own `step` runs.
    """

    stage: Stage
    width: int = 64
    halves: tuple[tuple[MapPlan, ...], ...] = ()
    scan: ScanPlan | None = None

    @property
    def population(self) -> Population:
        """Name, shape, neurons."""
        return self.stage.population

    @property
    def is_input(self) -> bool:
        """Whether spikes come from outside."""
        return self.stage.neuron is None

    @property
    def neuron(self) -> NeuronModel:
        """The model that steps.

        Raises:
            TypeError: for an input, which has none.
        """
        if self.stage.neuron is None:
            raise TypeError(f"{self.population.name} is an input")
        return self.stage.neuron

    @property
    def fused(self) -> bool:
        """Whether kernels compute all of it."""
        return self.scan is not None

    @property
    def valued(self) -> bool:
        """Whether its spikes are numbers rather than bits."""
        return is_valued(self.population)


def is_valued(population: Population) -> bool:
    """Whether spikes can have values other than 0 and 1."""
    low, high = population.spike_range
    return low < 0 or high > 1


def fits_int32(population: Population) -> bool:
    """Whether 32 bits hold its spikes."""
    return all(abs(end) <= INT32_LARGEST for end in population.spike_range)


def plan_stages(
    network: Network, stages: tuple[Stage, ...], proven: Mapping[str, Widths], steps: int, stepping: frozenset[str]
) -> tuple[StagePlan, ...]:
    """Plan every population, in order.

    Args:
        network: integer network.
        stages: as from `integer_stages`.
        proven: as from `prove_widths`.
        steps: length of the run.
        stepping: populations whose model's own `step` must run (state variables other than v are recorded).
    """
    return tuple(_plan(network, stage, proven, steps, stepping) for stage in stages)


def _plan(
    network: Network, stage: Stage, proven: Mapping[str, Widths], steps: int, stepping: frozenset[str]
) -> StagePlan:
    population, neuron = stage.population, stage.neuron
    if neuron is None:
        return StagePlan(stage)
    widths = proven[population.name]
    current, entering, scan = largest_sum(widths.entering), widths.entering, None
    if population.name not in stepping and not is_valued(population):
        scan = plan_scan(population, neuron, current, widths.potential, steps)
    apart = neuron.separate_signs
    if apart and scan is not None and scan.ceiling is None:
        whole = together(entering, network.into(population.name))
        apart, entering = whole is None, whole or entering
    chains = [[_Chain.of(network, part) for part in parts] for parts in entering]
    if any(chain is None for parts in chains for chain in parts):
        return StagePlan(stage)
    found = [[chain for chain in parts if chain is not None] for parts in chains]
    if scan is not None and not apart and current <= INT32_LARGEST:
        found = [half for parts in found for half in _halved(parts)]
    width = _width(current, [chain for parts in found for chain in parts])
    if scan is not None and scan.dtype == np.int32 and width == 64:
        scan = plan_scan(population, neuron, current, INT32_LARGEST + 1, steps)
    if scan is None:
        by_sign = tuple(zip(*found, strict=True))
        halves = tuple(tuple(chain.plan(width, alone=len(found) == 1) for chain in half) for half in by_sign)
        return StagePlan(stage, width, halves)
    alone = len(found) == 1 and not apart
    maps = (chain.plan(width, alone=alone, inhibits=sign == 1) for parts in found for sign, chain in enumerate(parts))
    return StagePlan(stage, width, (tuple(maps),), scan)


def _width(current: int, chains: list[_Chain]) -> int:
    """Bits of the currents that all maps of a population add to."""
    if any(chain.scaled for chain in chains) or current > INT32_LARGEST:
        return 64
    width = 16 if current <= INT16_LARGEST else 32
    return max(width, *(chain.least_width for chain in chains))


def _halved(chains: list[_Chain]) -> list[list[_Chain]]:
    """A chain as two that add up to it, where half its weights fit 16 bits and they do not."""
    (chain,) = chains
    largest = int(np.abs(chain.weights).max(initial=0))
    if chain.windows is None or chain.scaled or not INT16_LARGEST < largest <= 2 * INT16_LARGEST:
        return [chains]
    half = chain.weights >> 1
    return [[replace(chain, weights=half)], [replace(chain, weights=chain.weights - half)]]


@dataclass(frozen=True, eq=False)
class _Chain:
    """A projection laid out, before the width is chosen.

    Attributes:
        part: the projection and what is proven of it.
        source, target: its ends.
        windows: its tables, or None.
        matrix: else, its sparse matrix by columns (scipy), neurons counted channels last.
        weights: integers, in the order of the tables or the matrix; a folded exponent is in them.
        exponent: what is left of it.
        accumulator: the format, None where it provably changes nothing.
    """

    part: Part
    source: Population
    target: Population
    windows: Windows | None
    matrix: Any
    weights: Array
    exponent: int
    accumulator: IntegerFormat | None

    @classmethod
    def of(cls, network: Network, part: Part) -> _Chain | None:
        """The layout; None for what only numpy computes."""
        projection = part.projection
        source, target = network[projection.source], network[projection.target]
        accumulator = projection.accumulator
        if accumulator is not None and part.scaled.interval.fits(accumulator):
            accumulator = None
        if accumulator is not None and accumulator.overflow is Overflow.RAISE:
            return None
        if not fits_int32(source):
            return None
        windows = windows_of(projection.synapses, source.shape, target.shape)
        matrix: Any = None
        if windows is None and (matrix := _matrix(projection, source, target)) is None:
            return None
        weights = matrix.data if windows is None else windows.weights
        if weights.size > LARGEST_OFFSET:
            return None
        weights, exponent = _folded(weights, projection.exponent)
        return cls(part, source, target, windows, matrix, weights, exponent, accumulator)

    @property
    def scaled(self) -> bool:
        """Whether the sum is shifted or formatted before it counts."""
        return self.exponent != 0 or self.accumulator is not None

    @property
    def least_width(self) -> int:
        """Bits of the narrowest currents that its weights can be added to."""
        largest = int(np.abs(self.weights).max(initial=0))
        if largest <= INT16_LARGEST:
            return 16
        return 32 if self.windows is None and largest <= INT32_LARGEST else 64

    def plan(self, width: int, *, alone: bool, inhibits: bool = False) -> MapPlan:
        """The kernel's record and tables.

        Args:
            width: bits of the currents.
            alone: whether nothing else adds to them.
            inhibits: whether the neurons take its sums apart, as inhibition.
        """
        found: dict[str, int] = {
            "valued": is_valued(self.source),
            "size": self.source.size,
            "chunk": INT16_LARGEST // max(1, int(np.abs(self.weights).max(initial=0))) or 1,
            "dense_above": -1,
            "inhibits": inhibits,
            "scaled": self.scaled,
            "exponent": self.exponent,
            **_format_fields(self.accumulator),
        }
        laid_out = self._unrolled(width) if self.windows is None else self._windowed(self.windows, width, alone)
        pointers = {name: address(array) for name, array in laid_out.arrays.items()}
        record = compiled.Map(**{**found, **laid_out.fields}, **pointers)
        return MapPlan(self.source, self.part.projection.delay, record, laid_out.arrays, laid_out.scratch)

    def _unrolled(self, width: int) -> _Layout:
        arrays = {
            "first": self.matrix.indptr.astype(np.int64),
            "targets": self.matrix.indices.astype(np.int32),
            "weights": padded(self.weights, np.dtype(f"int{width}")),
        }
        return _Layout({"kind": UNROLLED}, arrays, Scratch())

    def _windowed(self, windows: Windows, width: int, alone: bool) -> _Layout:
        vertical, horizontal, bands = windows.vertical, windows.horizontal, plan_bands(windows)
        found: dict[str, int] = {
            "kind": WINDOWS,
            "channels": windows.channels,
            "width": windows.width,
            "windows_y": len(vertical.spans),
            "windows_x": len(horizontal.spans),
            "pooled": windows.pool is not None,
            "single": windows.single,
            **bands.fields,
        }
        arrays: dict[str, Array] = {
            "rows": vertical.spans,
            "columns": horizontal.spans,
            "y_first": vertical.first,
            "x_first": horizontal.first,
            "y_runs": vertical.runs,
            "x_runs": horizontal.runs,
            "bit_weight": windows.bit_weight,
            "weights": padded(self.weights, np.int64 if width == 64 else np.int16),
        }
        if windows.bit_current is not None:
            arrays["bit_current"] = windows.bit_current
        if bands.row_places is not None:
            arrays["row_places"] = bands.row_places
        census = (len(vertical.spans) + 1) * (len(horizontal.spans) + 1)
        scratch = Scratch(bands.events, bands.listed, census)
        if width == 64 or is_valued(self.source):
            return _Layout(found, arrays, scratch)
        if width == 32 and alone:
            found |= plan_narrow(windows, self.weights)
        dense = plan_dense(windows, self.weights, width)
        if dense is not None:
            found |= dense.fields
            arrays["dense"] = padded(dense.weights, np.int8)
            scratch = replace(scratch, plane=dense.plane, bytes=dense.bytes)
        return _Layout(found, arrays, scratch)


@dataclass(frozen=True, eq=False)
class _Layout:
    """A projection's tables: fields of its nm_map record, what it points to, what memory it needs."""

    fields: dict[str, int]
    arrays: dict[str, Array]
    scratch: Scratch


def _matrix(projection: Projection, source: Population, target: Population) -> Any:
    if int(projection.fan_out(source.shape).sum()) > LARGEST_UNROLLED:
        return None
    columns = projection.matrix(source.shape).tocsc()[:, channels_last(source.shape)]
    matrix = columns.tocsr()[channels_last(target.shape)].tocsc()
    matrix.sum_duplicates()
    return matrix


def _folded(weights: Array, exponent: int) -> tuple[Array, int]:
    """Weights with a power of two multiplied in, where that loses no bit, and what is left of the exponent."""
    exponent = min(max(exponent, -_LARGEST_SHIFT), _LARGEST_SHIFT)  # beyond, 64-bit sums are 0 or -1 already
    if exponent < 0 and not np.any(weights & ((1 << -exponent) - 1)):
        return weights >> -exponent, 0
    largest = int(np.abs(weights).max(initial=0))
    if exponent > 0 and largest << exponent <= INT32_LARGEST:
        return weights << exponent, 0
    return weights, exponent


def _format_fields(form: IntegerFormat | None) -> dict[str, int]:
    if form is None:
        return {"format": EXACT}
    return {
        "format": WRAP if form.overflow is Overflow.WRAP else SATURATE,
        "low": form.minimum,
        "high": form.maximum,
        "mask": (1 << form.bits) - 1,
        "sign": 1 << (form.bits - 1) if form.signed else 0,
    }

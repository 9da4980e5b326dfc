"""Encoders: samples `[N, *shape]` become spikes `[T, N, *shape]`.

All draws and comparisons are made in integers, so the same samples give the same
spikes, bit by bit, on every machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding.base import Encoder
from nmdeploy.coding.ranges import check_limits, check_samples, unit_values
from nmdeploy.errors import DataError, UsageError

RATE_LEVELS = 255 << 16
"""Resolution of a deterministic rate. A multiple of 255, 10 and 2**16: grey values k/255,
decimals k/10 and binary fractions down to 2**-16 are exact."""

PROBABILITY_BITS = 32
"""Resolution of a spike probability."""


def _check_steps(steps: int, where: str) -> None:
    if steps < 1:
        raise UsageError("a run has at least one step", where=where, found=steps, limit=1)


def _checked_unit(
    encoder: DeterministicRate | Bernoulli | ConstantCurrent, samples: NDArray[Any], steps: int
) -> NDArray[np.float64]:
    """The samples from 0 (`low`) to 1 (`high`), steps and values checked."""
    _check_steps(steps, encoder.kind)
    return unit_values(np.asarray(samples), encoder.low, encoder.high, encoder.kind)


@dataclass(frozen=True, eq=False, repr=False)
class DeterministicRate(Encoder):
    """Evenly spaced spikes: step t carries one iff floor((t+1) x + phase) > floor(t x + phase).

    x = (sample - low) / (high - low) is the rate in spikes per step. The first t steps
    hold floor(t x + phase) spikes. x and phase are rounded to multiples of
    1 / `RATE_LEVELS` and everything after that is integer arithmetic.

    Attributes:
        low, high: the sample values that mean rate 0 and rate 1.
        phase: 0 <= phase < 1; 0 starts with silence, 0.5 puts the first spike in the
            middle of the first interval.
    """

    kind: ClassVar[str] = "DeterministicRate"
    low: float = 0.0
    high: float = 1.0
    phase: float = 0.0

    def __post_init__(self) -> None:
        check_limits(self.low, self.high, self.kind)
        if not 0 <= self.phase < 1:
            raise UsageError("the phase is a fraction of one interval", where=self.kind, found=self.phase, limit="0..1")

    @property
    def largest(self) -> int:
        return 1

    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        unit = _checked_unit(self, samples, steps)
        rate = np.rint(unit * RATE_LEVELS).astype(np.int32)
        # The accumulated rate modulo one spike; at most 2 * RATE_LEVELS, far inside int32.
        pending = np.full(rate.shape, min(round(self.phase * RATE_LEVELS), RATE_LEVELS - 1), dtype=np.int32)
        spikes = np.empty((steps, *rate.shape), dtype=np.uint8)
        for step in range(steps):
            pending += rate
            fired = pending >= RATE_LEVELS
            pending[fired] -= RATE_LEVELS
            spikes[step] = fired
        return spikes


@dataclass(frozen=True, eq=False, repr=False)
class Bernoulli(Encoder):
    """Independent spikes with probability x = (sample - low) / (high - low) at every step.

    Each sample has its own stream: PCG64, seeded with `seed` and the SHA-256 digest
    of the sample's quantized values. A sample's spikes therefore do not depend on the
    batch it comes in or its place there, a longer run begins like a shorter one, and
    equal samples get equal spikes. A spike is drawn by comparing the upper 32 bits
    of the raw generator output with round(x * 2**32).

    Attributes:
        seed: at least 0.
        low, high: the sample values that mean probability 0 and 1.
    """

    kind: ClassVar[str] = "Bernoulli"
    seed: int = 0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_limits(self.low, self.high, self.kind)
        if self.seed < 0:
            raise UsageError("a seed is at least 0", where=self.kind, found=self.seed, limit=0)

    @property
    def largest(self) -> int:
        return 1

    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        unit = _checked_unit(self, samples, steps)
        limits = np.rint(unit * (1 << PROBABILITY_BITS)).astype("<u8")
        spikes = np.empty((steps, *limits.shape), dtype=np.uint8)
        for index, limit in enumerate(limits):
            raw = self._stream(limit).random_raw(steps * limit.size)
            draws = raw.reshape(steps, *limit.shape) >> np.uint64(64 - PROBABILITY_BITS)
            spikes[:, index] = draws < limit
        return spikes

    def _stream(self, limit: NDArray[np.uint64]) -> np.random.PCG64:
        digest = hashlib.sha256(limit.tobytes()).digest()
        return np.random.PCG64([self.seed, int.from_bytes(digest, "little")])


@dataclass(frozen=True, eq=False, repr=False)
class ConstantCurrent(Encoder):
    """The same graded value at every step: round(x * levels), x = (sample - low) / (high - low).

    Halves are rounded to even. The input population's `maximum` is `levels`; networks
    converted with `input="current"` expect 255.

    Attributes:
        low, high: the sample values that become 0 and `levels`.
        levels: 1..255.
    """

    kind: ClassVar[str] = "ConstantCurrent"
    low: float = 0.0
    high: float = 1.0
    levels: int = 255

    def __post_init__(self) -> None:
        check_limits(self.low, self.high, self.kind)
        if not 1 <= self.levels <= 255:
            raise UsageError("levels must fit a byte", where=self.kind, found=self.levels, limit="1..255")

    @property
    def largest(self) -> int:
        return self.levels

    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        unit = _checked_unit(self, samples, steps)
        values = np.rint(unit * self.levels).astype(np.uint8)
        return np.repeat(values[np.newaxis], steps, axis=0)


@dataclass(frozen=True, eq=False, repr=False)
class Passthrough(Encoder):
    """Samples that are spikes already, `[N, T, *shape]`: reordered to `[T, N, *shape]`.

    Samples come first, as in data sets of event frames, so that batches are slices of
    the first axis. Values are whole numbers of any type from 0 to `maximum`.

    Attributes:
        maximum: largest spike value in one step, 1..255.
    """

    kind: ClassVar[str] = "Passthrough"
    maximum: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.maximum <= 255:
            raise UsageError("spike values must fit a byte", where=self.kind, found=self.maximum, limit="1..255")

    @property
    def largest(self) -> int:
        return self.maximum

    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        _check_steps(steps, self.kind)
        samples = np.asarray(samples)
        check_samples(samples, self.kind)
        if samples.ndim < 3 or samples.shape[1] != steps:
            raise DataError(
                "spikes come as [samples, steps, *shape]",
                where=self.kind,
                found=f"shape {samples.shape}",
                limit=f"{steps} steps",
                hint="cut or bin the recording to the steps of the run",
            )
        if samples.dtype.kind == "f" and not np.array_equal(samples, np.rint(samples)):
            raise DataError("spikes are whole numbers", where=self.kind, hint="use a rate encoder for real values")
        if samples.min() < 0 or samples.max() > self.maximum:
            raise DataError(
                "spike values out of range",
                where=self.kind,
                found=f"{samples.min()}..{samples.max()}",
                limit=f"0..{self.maximum}",
                hint="raise maximum= where the chip takes graded spikes, or clip the frames",
            )
        return np.ascontiguousarray(np.swapaxes(samples, 0, 1).astype(np.uint8))

"""Events that add the same to every neuron of a convolution, sent where its kernel reaches each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array, Padding, Pair
from nmdeploy.synapses import Conv2d


@dataclass(frozen=True)
class Geometry:
    """A convolution without its weights.

    Attributes:
        read: height and width of the map it reads.
        made: channels, height and width of the map it makes.
        kernel: height and width.
        stride: vertical and horizontal.
        padding: top, bottom, left, right.
    """

    read: Pair
    made: tuple[int, int, int]
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One event at each of some pixels of a channel; together they reach every neuron exactly once.

    Attributes:
        geometry: of the convolution that the channel belongs to.
        taps: 1 where the channel's kernel has its weight, else 0, `[ky, kx]`.
        pixels: 1 where an event is sent, else 0, uint8 `[1, H, W]`.
    """

    geometry: Geometry
    taps: Array
    pixels: Array

    @classmethod
    def of(cls, geometry: Geometry) -> Sweep:
        """The sweep with the fewest events whose taps are a rectangle.

        Raises:
            UsageError: where padding keeps some neurons from the whole map, so that no event reaches them.
        """
        axes = [
            _Axis(
                geometry.read[i], geometry.made[i + 1], geometry.kernel[i], geometry.stride[i], geometry.padding[2 * i]
            )
            for i in (0, 1)
        ]
        found = [axis.cheapest() for axis in axes]
        if not all(found):
            what = "no event reaches all neurons of the map exactly once"
            raise UsageError(what, found=geometry, hint="use less padding than the kernel is large")
        (rows, above), (columns, beside) = (each for each in found if each)
        pixels = np.zeros((1, *geometry.read), dtype=np.uint8)
        pixels[0, rows[:, None], columns] = 1
        return cls(geometry, np.outer(above, beside), pixels)

    @property
    def events(self) -> int:
        """How many events it takes."""
        return int(self.pixels.sum())

    def synapses(self, weight: int) -> Conv2d:
        """The channel's convolution: `weight` from every tap to every channel of the map."""
        kernels = np.broadcast_to(weight * self.taps, (self.geometry.made[0], 1, *self.geometry.kernel))
        return Conv2d(kernels.astype(np.int8), stride=self.geometry.stride, padding=self.geometry.padding)


@dataclass(frozen=True)
class _Axis:
    """One axis of a convolution."""

    read: int
    made: int
    kernel: int
    stride: int
    padding: int

    def cheapest(self) -> tuple[Array, Array] | None:
        """Positions of the fewest events that reach every neuron once, and the taps; None if there are none."""
        best: tuple[Array, Array] | None = None
        for first, last in self._runs():
            positions = self._positions(first, last)
            if positions is not None and (best is None or len(positions) < len(best[0])):
                taps = np.zeros(self.kernel, dtype=np.int64)
                taps[first : last + 1] = 1
                best = np.array(positions), taps
        return best

    def _runs(self) -> Iterator[Pair]:
        """First and last tap of all runs, the longest first."""
        for length in range(self.kernel, 0, -1):
            for first in range(self.kernel - length + 1):
                yield first, first + length - 1

    def _positions(self, first: int, last: int) -> list[int] | None:
        """The fewest positions whose events reach every neuron through one of these taps; None if there are none."""
        # By the number of neurons reached so far, which are the first ones: what an event reaches is a run of them.
        reached: dict[int, list[int]] = {0: []}
        for position in range(self.read):
            low = max(-(-(position + self.padding - last) // self.stride), 0)
            high = min((position + self.padding - first) // self.stride, self.made - 1)
            before = reached.get(low)
            if before is not None and high >= low:
                after = reached.get(high + 1)
                if after is None or len(after) > len(before) + 1:
                    reached[high + 1] = [*before, position]
        return reached.get(self.made)

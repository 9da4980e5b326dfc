"""The chip's own sensor as the network's input: what is done to its events before the first core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array, sum_pool2d
from nmdeploy.network import Population
from targets.dynapcnn.configuration.tree import DvsDestination, DvsLayer, Mirror, Pair

SENSOR = (128, 128)
"""Pixels of the sensor, (height, width); docs/speck/overview.md of sinabs."""


@dataclass(frozen=True)
class DvsInput:
    """An input population fed by the sensor, or by events sent to its place.

    The events are merged, pooled, cut, mirrored, and their axes exchanged, in this order (sinabs 3.1.3,
    `backend/dynapcnn/dvs_layer.py`; in the figure of its overview page the chip mirrors with the cut).

    Attributes:
        size: pixels in use, (height, width).
        pooling: (vertical, horizontal), by summation.
        crop: ((top, bottom), (left, right)) of the rows and columns kept after pooling, the ends not
            included; None for all.
        merge: both polarities as one feature.
        mirror_y, mirror_x: rows, columns in reverse.
        swap_xy: rows become columns.
        sensor: whether the sensor's own events pass; otherwise only events that the host sends.
    """

    size: tuple[int, int] = SENSOR
    pooling: tuple[int, int] = (1, 1)
    crop: tuple[tuple[int, int], tuple[int, int]] | None = None
    merge: bool = False
    mirror_y: bool = False
    mirror_x: bool = False
    swap_xy: bool = False
    sensor: bool = True

    def __post_init__(self) -> None:
        for size, pool, limit in zip(self.size, self.pooling, SENSOR, strict=True):
            if not 1 <= size <= limit:
                raise UsageError("the sensor has no such size", where="sensor", found=size, limit=f"1..{limit}")
            if not 1 <= pool <= size:
                raise UsageError("the sensor cannot be pooled so", where="sensor", found=pool, limit=f"1..{size}")
        for (first, last), size, pool in zip(self.window, self.size, self.pooling, strict=True):
            if not 0 <= first < last <= size // pool:
                limits = f"0..{size // pool}"
                raise UsageError("the cut leaves the pooled map", where="sensor", found=(first, last), limit=limits)

    @property
    def window(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns kept after pooling, the ends not included."""
        return self.crop or ((0, self.size[0] // self.pooling[0]), (0, self.size[1] // self.pooling[1]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of what reaches the network, (C, H, W)."""
        height, width = (last - first for first, last in self.window)
        return (1 if self.merge else 2, *((width, height) if self.swap_xy else (height, width)))

    def apply(self, raster: Array) -> Array:
        """What reaches the network of the sensor's event counts.

        Args:
            raster: integers `[N, polarities, *size]`; with `merge` one polarity will do.

        Returns:
            int64 `[N, *shape]`.
        """
        counts = raster.astype(np.int64)
        if self.merge:
            counts = counts.sum(axis=1, keepdims=True)
        (top, bottom), (left, right) = self.window
        counts = sum_pool2d(counts, self.pooling, self.pooling, (0, 0, 0, 0))[:, :, top:bottom, left:right]
        counts = counts[:, :, :: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]
        return np.ascontiguousarray(counts.swapaxes(2, 3) if self.swap_xy else counts)

    def layer(self, population: Population, cores: tuple[int, ...], monitor: bool = False) -> DvsLayer:
        """The chip's sensor section.

        Args:
            population: the input population that is fed.
            cores: where its events go.
            monitor: whether the host sees them too.

        Raises:
            UsageError: when the population has another shape than the sensor makes.
        """
        if population.shape != self.shape:
            found, limit = self.shape, population.shape
            raise UsageError("the sensor makes another shape", where=population.name, found=found, limit=limit)
        (top, bottom), (left, right) = self.window
        entries: dict[str, Any] = {"monitor_enable": True} if monitor else {}
        return DvsLayer(
            merge=self.merge,
            mirror=Mirror(x=self.mirror_x, y=self.mirror_y),
            mirror_diagonal=self.swap_xy,
            cut=Pair(x=right - 1, y=bottom - 1),
            origin=Pair(x=left, y=top),
            pooling=Pair(x=self.pooling[1], y=self.pooling[0]),
            pass_sensor_events=self.sensor,
            destinations=tuple(DvsDestination(core, True) for core in cores),
            **entries,
        )

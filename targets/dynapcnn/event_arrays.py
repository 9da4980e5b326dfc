"""Events as structured arrays (x, y, t, p), rasters as `[T, C, H, W]`, and the way between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.event_order import coordinates, events_in_order
from nmdeploy.errors import DataError, ShapeError

EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "<u2")])
"""One event: column, row, time in microseconds, and polarity (of a sensor) or channel (of a layer)."""
LARGEST_SIZE = 1 << 16
"""Most columns, rows or channels that an event can address."""
STEP_US = 1000
"""Length of a time step, as sinabs' default `dt=1e-3`."""
ALIASES: Mapping[str, tuple[str, ...]] = {
    "x": ("x",),
    "y": ("y",),
    "t": ("t", "timestamp"),
    "p": ("p", "polarity", "on", "channel", "feature", "c"),
}
"""Names that the fields go by: sinabs (`channel`), tonic (`p`), aedat (`on`), samna (`feature`, `timestamp`)."""

Events = NDArray[np.void]
"""A structured array of dtype `EVENT`."""


def as_events(array: NDArray[Any]) -> Events:
    """A structured array with the fields of an event under any of their `ALIASES`, as `EVENT`, in its order.

    Raises:
        DataError: for arrays without the fields, of other types than integers, or with
            values that an event cannot hold.
    """
    names = array.dtype.names or ()
    if array.ndim != 1 or not names:
        raise DataError("events are a structured array with one axis", found=f"{array.dtype} {array.shape}")
    result = np.empty(len(array), EVENT)
    for field, aliases in ALIASES.items():
        known = [name for name in aliases if name in names]
        if not known:
            raise DataError(f"events have no field {field!r}", found=", ".join(names), limit=" or ".join(aliases))
        result[field] = _whole(array[known[0]], field)
    return result


def _whole(values: NDArray[Any], field: str) -> NDArray[Any]:
    """The values, once it is sure that `EVENT` holds them."""
    if values.dtype.kind not in "iub" or values.ndim != 1:
        raise DataError("the fields of events are integers", where=field, found=values.dtype)
    largest = int(np.iinfo(EVENT[field]).max)
    for extreme in (int(values.min(initial=0)), int(values.max(initial=0))):
        if not 0 <= extreme <= largest:
            raise DataError("an event is out of range", where=field, found=extreme, limit=f"0..{largest}")
    return values


def raster_to_events(raster: NDArray[Any], step_us: int = STEP_US, *, truncate: bool = False) -> Events:
    """The events of a raster in the order of sinabs (`nmdeploy.emulator.event_order.events_in_order`).

    Args:
        raster: counts of events, integers from 0, `[T, C, H, W]` or `[T, N]`; N are channels.
        step_us: length of a time step; step t has the time `t * step_us`.
        truncate: at most one event for each pixel and step; then the order is (t, c, y, x).

    Raises:
        ShapeError, DataError: for other arrays.
    """
    if raster.ndim not in (2, 4):
        raise ShapeError("a raster has the axes [T, C, H, W] or [T, N]", found=raster.shape)
    if raster.dtype.kind not in "iub" or raster.min(initial=0) < 0:
        raise DataError("a raster counts events in integers from 0", found=raster.dtype)
    if max(raster.shape[1:]) > LARGEST_SIZE:
        raise ShapeError("an event cannot address so large a raster", found=raster.shape[1:], limit=LARGEST_SIZE)
    steps, pixels = events_in_order(raster > 0 if truncate else raster)
    x, y, p = coordinates(raster.shape[1:], pixels)
    events = np.empty(len(steps), EVENT)
    for field, values in (("x", x), ("y", y), ("t", steps * step_us), ("p", p)):
        events[field] = values
    return events


def events_to_raster(
    events: NDArray[Any], shape: tuple[int, ...], steps: int | None = None, step_us: int = STEP_US, start_us: int = 0
) -> NDArray[np.int64]:
    """Counts of events by time step, `[T, *shape]`.

    sinabs takes the time of the first event as start, which loses silent steps before it;
    here the start is said.

    Args:
        events: structured array with the fields of `EVENT`.
        shape: (C, H, W), or (N,) for N channels of one pixel.
        steps: how many time steps there are; None for as many as the last event needs.
        step_us: length of a time step.
        start_us: time at which step 0 begins.

    Raises:
        DataError: for events outside the shape or the steps.
    """
    events = as_events(events)
    full = shape if len(shape) == 3 else (*shape, 1, 1)
    if len(full) != 3:
        raise ShapeError("a raster's shape is (C, H, W) or (N,)", found=shape)
    bins = (events["t"] - start_us) // step_us
    steps = int(bins.max(initial=-1)) + 1 if steps is None else steps
    for field, values, size in (
        ("t", bins, steps),
        ("p", events["p"], full[0]),
        ("y", events["y"], full[1]),
        ("x", events["x"], full[2]),
    ):
        wrong = np.flatnonzero((values < 0) | (values >= size))
        if len(wrong):
            found = f"{int(values[wrong[0]])} of event {wrong[0]}"
            raise DataError(f"{len(wrong)} events lie outside the raster", where=field, found=found, limit=size)
    raster = np.zeros((steps, *full), np.int64)
    np.add.at(raster, (bins, events["p"], events["y"], events["x"]), 1)
    return raster.reshape(steps, *shape)

"""Files of events: `.npz` and `.npy` without pickle, and recordings of DVS cameras (`.aedat4`)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.bundle.atomic import write_replacing
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.errors import DataError, MissingDependency, UsageError
from targets.dynapcnn.event_arrays import EVENT, Events, as_events

ARRAY = "events"
"""Name of the array in an `.npz` file."""
SUFFIXES = (".npz", ".npy", ".aedat4")


def load_events(path: Path) -> Events:
    """The events of a file, as `EVENT`, in their order.

    Args:
        path: `.npz` with an array `events`, `.npy`, both with the fields of `as_events`; or `.aedat4`, of which
            all event packets are read by the library `aedat`. Times of a camera start where it was switched on.

    Raises:
        DataError: for a file that is damaged, holds objects or other arrays.
        UsageError: for another suffix.
        MissingDependency: for `.aedat4` without `aedat`.
    """
    readers = {".npz": _from_npz, ".npy": _from_npy, ".aedat4": _from_aedat4}
    if path.suffix not in readers:
        raise UsageError("not a file of events", where=str(path), found=path.suffix, limit=", ".join(SUFFIXES))
    try:
        return as_events(readers[path.suffix](path))
    except DataError as error:
        where = error.where if error.where and str(path) in error.where else f"{path}: {error.where or 'events'}"
        raise DataError(error.what, where=where, found=error.found, limit=error.limit, hint=error.hint) from error


def save_events(path: Path, events: NDArray[Any]) -> None:
    """Write events to an `.npz` (array `events`) or `.npy` file, all or nothing.

    Raises:
        UsageError: for another suffix.
        DataError: for an array that is not one of events.
        BundleError: when the file system refuses.
    """
    kept = as_events(events)
    if path.suffix == ".npz":
        content = npz_bytes({ARRAY: kept})
    elif path.suffix == ".npy":
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, kept, allow_pickle=False)
        content = buffer.getvalue()
    else:
        raise UsageError("events are written to .npz or .npy", where=str(path), found=path.suffix)
    write_replacing(path, content)


def _from_npz(path: Path) -> NDArray[Any]:
    arrays = read_npz(path)
    if ARRAY not in arrays:
        raise DataError(f"no array {ARRAY!r}", where=str(path), found=", ".join(sorted(arrays)) or "nothing")
    return arrays[ARRAY]


def _from_npy(path: Path) -> NDArray[Any]:
    try:
        # Mapped, so that a file that declares more than it holds takes no memory.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"not a readable .npy file ({error})", where=str(path)) from error


def _from_aedat4(path: Path) -> NDArray[Any]:
    try:
        import aedat
    except ImportError as error:
        raise MissingDependency("aedat", "aedat", "reading .aedat4") from error
    try:
        packets = [packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet]
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(f"not a readable .aedat4 file ({error})", where=str(path)) from error
    return np.concatenate([as_events(packet) for packet in packets]) if packets else np.empty(0, EVENT)

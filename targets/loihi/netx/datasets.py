"""Typed values of a `.net` file, read as NetX's `NetDict` does, from a file that is not trusted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.bundle.plain_hdf5 import PlainHdf5, place
from nmdeploy.bundle.sections import LARGEST_SIZE
from nmdeploy.errors import BundleError
from nmdeploy.linear_maps import Array, Pair
from nmdeploy.synapses import Shape
from targets.loihi.netx.schema import LARGEST_KERNEL_STEP

INT32_EDGE = 1 << 31
"""Lava keeps weights and thresholds as int32."""

_LONGEST_NAME = 64  # bytes of a type's name
_TEXT_LENGTH_BYTES = 4  # of the length that precedes a text's address in the file


class NetDatasets(PlainHdf5):
    """An open `.net` file; every method raises BundleError for what it cannot read.

    Args:
        file: the `h5py.File`.
        size: bytes of the file.
        path: of the file.
    """

    def __init__(self, file: Any, size: int, path: Path) -> None:
        super().__init__(file, size)
        self._path = path

    def group(self, group: Any, name: str) -> Any:
        import h5py

        found = self.linked(group, name)
        if not isinstance(found, h5py.Group):
            raise BundleError("is no group", where=place(group, name))
        return found

    def shape(self, group: Any) -> Shape:
        shape = tuple(int(size) for size in self.integers(group, "shape", []).reshape(-1))
        if len(shape) not in (1, 3) or min(shape) < 1 or math.prod(shape) > LARGEST_SIZE:
            limit = f"(N,) or (C, H, W), at most {LARGEST_SIZE} neurons"
            raise BundleError("the shape cannot be used", where=place(group, "shape"), found=shape, limit=limit)
        return shape

    def pair(self, group: Any, name: str, least: int) -> Pair:
        """One number or (vertical, horizontal)."""
        values = self.integers(group, name, []).reshape(-1)
        if values.size not in (1, 2) or values.min() < least or values.max() > LARGEST_KERNEL_STEP:
            limit = f"one or two of {least}..{LARGEST_KERNEL_STEP}"
            raise BundleError("is out of range", where=place(group, name), found=values.tolist()[:5], limit=limit)
        return int(values[0]), int(values[-1])

    def whole_number(self, group: Any, name: str, low: int, high: int) -> int:
        values = self.numbers(group, name)
        if values.size != 1 or not low <= values.reshape(())[()] <= high or values.reshape(())[()] % 1:
            limit = f"one whole number of {low}..{high}"
            found = values.reshape(-1).tolist()[:5]
            raise BundleError("is out of range", where=place(group, name), found=found, limit=limit)
        return int(values.reshape(()))

    def integers(self, group: Any, name: str, remarks: list[str]) -> Array:
        """Numbers as NetX's `astype(int)` takes them: fractions are cut off toward zero."""
        values = self.numbers(group, name)
        whole: Array = values.astype(np.int64)
        if not np.array_equal(whole, values):
            remarks.append(f"{place(group, name)}: fractions are cut off, as NetX does")
        if whole.size and (whole.min() < -INT32_EDGE or whole.max() >= INT32_EDGE):
            raise BundleError("does not fit 32 bits", where=place(group, name), found=int(np.abs(whole).max()))
        return whole

    def numbers(self, group: Any, name: str) -> Array:
        if name not in list(group):
            raise BundleError("is missing", where=place(group, name))
        dataset = self.dataset(group, name)
        if dataset.dtype.kind not in "iufb" or dataset.dtype.itemsize > 8:
            raise BundleError("holds no numbers", where=place(group, name), found=dataset.dtype)
        values: Array = np.asarray(dataset[()])
        if values.dtype.kind == "f" and not np.all(np.abs(values) < 2.0**62):
            raise BundleError("holds numbers that are not finite or absurd", where=place(group, name))
        return values

    def text(self, group: Any, name: str) -> str:
        """A text of one element: fixed length, or of the variable length that h5py gives a Python string."""
        import h5py

        if name not in list(group):
            raise BundleError("is missing", where=place(group, name))
        dataset = self.dataset(group, name)
        kind = h5py.check_string_dtype(dataset.dtype)
        if kind is None or dataset.size != 1 or self._text_length(dataset, kind) > _LONGEST_NAME:
            raise BundleError("is no short text", where=place(group, name), found=dataset.dtype)
        raw = dataset[()] if dataset.shape == () else dataset[(0,) * dataset.ndim]
        return bytes(raw).rstrip(b"\0").decode("ascii", "replace")

    def _text_length(self, dataset: Any, kind: Any) -> int:
        """Bytes of the text; HDF5 would take memory for whatever length the file states."""
        if kind.length is not None:
            return int(kind.length)
        with self._path.open("rb") as file:
            file.seek(dataset.id.get_offset())
            return int.from_bytes(file.read(_TEXT_LENGTH_BYTES), "little")

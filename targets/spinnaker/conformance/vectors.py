"""A file of recorded vectors: integer arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmdeploy.data import read_npz
from nmdeploy.errors import DataError
from nmdeploy.linear_maps import Array
from targets.spinnaker.fixed_point import Integers


@dataclass(frozen=True)
class Vectors:
    """The arrays of a file.

    Attributes:
        path: of the file.
        arrays: by name, all of integers (reals without a fraction count as such).
    """

    path: Path
    arrays: Mapping[str, Array]

    @classmethod
    def read(cls, path: Path) -> Vectors:
        """The arrays of an `.npz` file.

        Raises:
            DataError: for a file that is none.
        """
        return cls(path, read_npz(path))

    @property
    def file(self) -> str:
        """What reports call the file."""
        return self.path.name

    def names(self, suffix: str) -> list[str]:
        """The parts before `suffix` of all names that end in it, sorted."""
        return sorted(name.removesuffix(suffix) for name in self.arrays if name.endswith(suffix))

    def integers(self, name: str, *shape: int | None) -> Integers:
        """An array as int64.

        Args:
            name: of the array.
            shape: what it must have; None for an axis of any length.

        Raises:
            DataError: where it is missing, holds fractions or numbers beyond int64, or has another shape.
        """
        if name not in self.arrays:
            raise DataError(f"the recording has no {name!r}", where=str(self.path))
        array = self.arrays[name]
        if array.ndim != len(shape) or any(
            size not in (None, found) for size, found in zip(shape, array.shape, strict=True)
        ):
            wanted = tuple("any" if size is None else size for size in shape)
            raise DataError(f"{name} has another shape", where=str(self.path), found=array.shape, limit=wanted)
        whole = array.dtype.kind in "iub" or (array.dtype.kind == "f" and np.array_equal(array, np.rint(array)))
        if not whole or (array.size and np.abs(array.astype(np.float64)).max() >= 2.0**63):
            raise DataError(f"{name} holds no integers", where=str(self.path), found=array.dtype)
        return array.astype(np.int64)

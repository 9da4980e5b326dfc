"""Samples from `.npz` files: sizes checked before memory is taken, no pickle.

Two layouts are known: `x` with optional `y`, and the split form `x_train`,
`y_train`, `x_test`, `y_test` (as in the usual `mnist.npz`). Integer images become
reals in 0..1 by division through the largest value of their type (255 for uint8).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import DataError

LARGEST_ARRAY = 8 << 30
"""Arrays of more bytes than this are refused."""


@dataclass(frozen=True)
class Samples:
    """Inputs and, where known, their classes.

    Attributes:
        x: float32 `[N, *shape]`.
        y: int64 `[N]`, or None.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.x)

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; all for None."""
        return Samples(self.x[:count], None if self.y is None else self.y[:count])

    def take(self, index: NDArray[np.int64]) -> Samples:
        """The samples at `index`, in that order."""
        return Samples(self.x[index], None if self.y is None else self.y[index])

    def drawn(self, count: int, seed: int) -> Samples:
        """`count` samples: stratified by their labels, or the first ones where there are no labels."""
        return self.first(count) if self.y is None else self.stratified(count, seed)

    def stratified(self, count: int, seed: int) -> Samples:
        """`count` samples in random order, each class with its share (see `split`)."""
        return self.split(count, seed)[0]

    def split(self, count: int, seed: int) -> tuple[Samples, Samples]:
        """`count` samples and the rest, each class in both by its share, both in random order.

        Whole shares are rounded by largest remainder, so the first part has exactly
        `count` samples.

        Args:
            count: size of the first part.
            seed: seeds the draw.

        Raises:
            DataError: without labels, or when there are fewer samples than asked for.
        """
        if self.y is None:
            raise DataError("there are no labels to stratify by")
        first, rest = divided(self.y, count, seed)
        return self.take(first), self.take(rest)


def divided(labels: NDArray[np.int64], count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of `count` samples and of the rest, as `Samples.split` divides samples of these labels `[N]`.

    Raises:
        DataError: when there are fewer samples than asked for.
    """
    if not 0 <= count <= len(labels):
        raise DataError("too few samples", found=len(labels), limit=count)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    chosen = np.zeros(len(labels), dtype=bool)
    for label, share in _shares(labels, count).items():
        chosen[np.flatnonzero(labels[order] == label)[:share]] = True
    return order[chosen], order[~chosen]


def _shares(labels: NDArray[np.int64], count: int) -> dict[int, int]:
    """How many of `count` samples each class gets, by largest remainder."""
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * (count / len(labels))
    shares = np.floor(exact).astype(int)
    for index in np.argsort(shares - exact, kind="stable")[: count - int(shares.sum())]:
        shares[index] += 1
    return {int(label): int(share) for label, share in zip(classes, shares, strict=True)}


def load_samples(path: Path, part: str = "test", shape: tuple[int, ...] | None = None) -> Samples:
    """Read samples from a `.npz` file.

    Args:
        path: the file.
        part: `train` or `test`, for files in the split form; ignored for others.
        shape: shape of one sample that the network wants; a missing channel axis is
            added, flat samples are reshaped.

    Raises:
        DataError: for a file that is no `.npz`, holds pickled objects, declares more
            than it contains, or whose arrays do not fit each other or `shape`.
    """
    return _samples(read_npz(path), path, part, shape)


def load_parts(path: Path, shape: tuple[int, ...] | None = None) -> tuple[Samples, Samples]:
    """The train and the test part of a `.npz` file, which is read once; see `load_samples`.

    Raises:
        DataError: as from `load_samples`.
    """
    arrays = read_npz(path)
    return _samples(arrays, path, "train", shape), _samples(arrays, path, "test", shape)


def _samples(arrays: dict[str, NDArray[Any]], path: Path, part: str, shape: tuple[int, ...] | None) -> Samples:
    names = (f"x_{part}", f"y_{part}") if f"x_{part}" in arrays else ("x", "y")
    if names[0] not in arrays:
        listing = ", ".join(sorted(arrays)) or "nothing"
        raise DataError("no array 'x' (or 'x_train' and 'x_test')", where=str(path), found=listing)
    x = as_reals(arrays[names[0]])
    y = arrays.get(names[1])
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iu"):
        raise DataError(f"{names[1]} must be one integer for each sample", where=str(path), found=y.shape, limit=len(x))
    if len(x) == 0:
        raise DataError("there are no samples", where=str(path))
    if shape is not None:
        x = _shaped(x, shape, str(path))
    return Samples(x, None if y is None else y.astype(np.int64))


def calibration_and_test(
    path: Path, shape: tuple[int, ...], calibration: int, test: int, seed: int
) -> tuple[Samples, Samples]:
    """Samples to calibrate on and others to test on, none in both, stratified where there are labels.

    From a file in the split form they come from its two parts. Any other file is
    divided; calibration takes at most half of it.

    Args:
        path: the file.
        shape: shape of one sample that the network wants.
        calibration, test: how many of each are wanted; fewer where there are fewer.
        seed: seeds the draw.

    Raises:
        DataError: as from `load_samples`.
    """
    training, testing = load_parts(path, shape)
    if np.array_equal(training.x, testing.x):
        share = min(calibration, (len(training) + 1) // 2)
        order = np.arange(len(training))
        unlabelled = training.take(order[:share]), training.take(order[share:])
        chosen, rest = unlabelled if training.y is None else training.split(share, seed)
        return chosen, rest.drawn(min(test, len(rest)), seed)
    return training.drawn(min(calibration, len(training)), seed), testing.drawn(min(test, len(testing)), seed)


def as_reals(values: NDArray[Any]) -> NDArray[np.float32]:
    """float32 values; integers divided by the largest value of their type."""
    if values.dtype.kind == "u":
        return (values / np.float64(np.iinfo(values.dtype).max)).astype(np.float32)
    if values.dtype.kind != "f":
        raise DataError("samples are unsigned integers (images) or reals", found=str(values.dtype))
    return values.astype(np.float32)


def _shaped(x: NDArray[np.float32], shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
    if x.shape[1:] == shape:
        return x
    if tuple(size for size in x.shape[1:] if size != 1) != tuple(size for size in shape if size != 1) and x.ndim != 2:
        raise DataError(
            "samples have another shape than the network's input", where=where, found=x.shape[1:], limit=shape
        )
    if math.prod(x.shape[1:]) != math.prod(shape):
        raise DataError(
            "samples have another size than the network's input", where=where, found=x.shape[1:], limit=shape
        )
    return x.reshape(len(x), *shape)


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a `.npz` file by name, safely: no pickle, sizes checked before memory is taken.

    Raises:
        DataError: for a file that is no `.npz`, holds objects, or declares more than it contains.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            return {info.filename[:-4]: _read_member(archive, info, path) for info in members}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise DataError(f"not a readable .npz file ({error})", where=str(path)) from error


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an `.npz` file, as `read_npz` reads it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    where = f"{path} {info.filename}"
    with archive.open(info) as stream:
        try:
            shape, dtype = _header(stream)
        except ValueError as error:
            raise DataError(f"not a numpy array ({error})", where=where) from error
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise DataError("pickled objects are not read", where=where, hint="save plain arrays")
        if size > min(info.file_size, LARGEST_ARRAY):
            raise DataError(
                "the array declares more bytes than it may",
                where=where,
                found=size,
                limit=min(info.file_size, LARGEST_ARRAY),
            )
    with archive.open(info) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype

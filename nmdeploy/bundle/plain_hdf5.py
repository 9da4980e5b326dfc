"""Reading plain datasets of an HDF5 file that is not trusted.

Nothing is followed out of the file and no memory is taken for a dataset before its
bytes are known to be there: only hard links and plain contiguous storage, whose
declared sizes agree with what is stored and together do not exceed the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmdeploy.errors import BundleError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of every HDF5 file."""

_TEXT_REFERENCE = 16  # bytes of a text of variable length in its dataset: length, heap address, index
_LONGEST = 300  # characters of a value or name from the file that a message shows


class PlainHdf5:
    """An open HDF5 file.

    Args:
        file: the `h5py.File`.
        size: bytes of the file.
    """

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size, self._claimed = file, size, 0

    def linked(self, group: Any, name: str) -> Any:
        """The object that a hard link names; soft and external links are refused unfollowed.

        Raises:
            BundleError: for another kind of link.
        """
        import h5py

        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BundleError("is a link that leads elsewhere, which is not followed", where=place(group, name))
        return group[name]

    def dataset(self, group: Any, name: str) -> Any:
        """A dataset whose bytes are all in the file, stored plainly, and counted once.

        Raises:
            BundleError: for anything else.
        """
        import h5py

        dataset, where = self.linked(group, name), place(group, name)
        if not isinstance(dataset, h5py.Dataset):
            raise BundleError("is no dataset", where=where)
        settings = dataset.id.get_create_plist()
        if settings.get_layout() != h5py.h5d.CONTIGUOUS or settings.get_external_count():
            hint = "store it plainly (h5repack -l CONTI -f NONE)"
            raise BundleError("is chunked, compressed, virtual or external", where=where, hint=hint)
        declared, stored = _declared_bytes(dataset, where), dataset.id.get_storage_size()
        start = dataset.id.get_offset() if stored else 0
        if declared != stored or start is None or start + stored > self._size:
            raise BundleError(
                "the declared size is not what is stored", where=where, found=f"{declared} bytes", limit=stored
            )
        self._claimed += stored
        if self._claimed > self._size:
            raise BundleError(
                "the datasets declare more than the file holds", found=f"{self._claimed} bytes", limit=self._size
            )
        return dataset


def _declared_bytes(dataset: Any, where: str) -> int:
    if dataset.shape is None:
        raise BundleError("is a dataset without a shape", where=where)
    import h5py

    text = h5py.check_string_dtype(dataset.dtype)
    size = _TEXT_REFERENCE if text is not None and text.length is None else dataset.dtype.itemsize
    return math.prod(int(axis) for axis in dataset.shape) * int(size)


def place(group: Any, name: str) -> str:
    """The path of a member of a group within its file."""
    return f"{group.name.rstrip('/')}/{name}"


@contextmanager
def opened_hdf5(path: Path, foreign: str) -> Iterator[tuple[Any, int]]:
    """The `h5py.File` at `path` and its size in bytes; whatever h5py raises becomes a BundleError.

    Args:
        path: of the file.
        foreign: the fault of a file that is not HDF5, in words.

    Raises:
        BundleError: when it is missing, foreign, torn, or larger than the memory.
    """
    import h5py

    try:
        with path.open("rb") as file:
            start, size = file.read(len(SIGNATURE)), path.stat().st_size
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror or error}") from error
    if start != SIGNATURE:
        raise BundleError(foreign)
    try:
        # No lock: files are only ever replaced as a whole, and may lie on a read-only disk.
        with h5py.File(path, "r", locking=False) as file:
            yield file, size
    except MemoryError as error:
        raise BundleError("is larger than this machine's memory") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        # h5py tells of damage by any of these, depending on where HDF5 meets it.
        raise BundleError(f"is torn or damaged: {error.args[0] if error.args else error}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name into every BundleError that leaves, and make it one printable line."""
    try:
        yield
    except BundleError as error:
        where = f"{path}: {printable(error.where)}" if error.where else str(path)
        what, found = printable(error.what), None if error.found is None else printable(error.found)
        raise BundleError(what, where=where, found=found, limit=error.limit, hint=error.hint) from error


def printable(value: object) -> str:
    """Text from a file as a piece of one line: nothing that moves a terminal's cursor, and not endless."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

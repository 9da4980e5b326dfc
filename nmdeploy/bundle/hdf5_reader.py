"""Reading the sections of an HDF5 file that is not trusted.

Nothing is followed out of the file and no memory is taken for a dataset before its
bytes are known to be there: only hard links, only groups of datasets, only plain
contiguous storage of the element types of a bundle, whose declared sizes agree with
what is stored and together do not exceed the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmdeploy.bundle import header as headers
from nmdeploy.bundle.hdf5_writer import HEADER, RECORD
from nmdeploy.bundle.header import Header
from nmdeploy.bundle.sections import Section
from nmdeploy.bundle.stored_array import DTYPES
from nmdeploy.errors import BundleError

LARGEST_TEXT = 1 << 26
"""Most bytes of a JSON text."""

_LONGEST = 300  # characters of a value or name from the file that a message shows
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Hdf5Reader:
    """An open bundle file; made by `opened`.

    Args:
        file: the `h5py.File`.
        size: bytes of the file.
    """

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size, self._claimed = file, size, 0

    def header(self) -> Header:
        """The header.

        Raises:
            BundleError: when there is none, or as from `header.parse`.
        """
        if HEADER not in list(self._file):  # `in file` would follow a link
            raise BundleError("is no nmdeploy bundle: an HDF5 file without its header")
        return headers.parse(self._text(self._file, HEADER))

    def sections(self) -> dict[str, Section]:
        """All sections, checked before they are read."""
        return {name: self._section(name) for name in self._file if name != HEADER}

    def _section(self, name: str) -> Section:
        import h5py

        group = self._linked(self._file, name)
        if not isinstance(group, h5py.Group):
            raise BundleError("is no section", where=name)
        names = list(group)
        if RECORD not in names:
            raise BundleError("the section has no record", where=name)
        arrays = {key: self._array(group, key) for key in names if key != RECORD}
        return Section(self._text(group, RECORD), arrays)

    def _linked(self, group: Any, name: str) -> Any:
        """The object that a hard link names; soft and external links are refused unfollowed."""
        import h5py

        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BundleError("is a link that leads elsewhere; bundles have none", where=_place(group, name))
        return group[name]

    def _dataset(self, group: Any, name: str) -> Any:
        """A dataset whose bytes are all in the file, stored plainly, and counted once."""
        import h5py

        dataset, where = self._linked(group, name), _place(group, name)
        if not isinstance(dataset, h5py.Dataset):
            raise BundleError("is no dataset", where=where)
        settings = dataset.id.get_create_plist()
        if settings.get_layout() != h5py.h5d.CONTIGUOUS or settings.get_external_count():
            raise BundleError("is chunked, compressed, virtual or external; bundles are stored plainly", where=where)
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

    def _array(self, group: Any, name: str) -> Any:
        dataset = self._dataset(group, name)
        kind = dataset.dtype
        if kind.metadata or kind.name not in DTYPES or kind.byteorder == ">":
            raise BundleError("elements of a type that bundles do not hold", where=_place(group, name), found=kind)
        return dataset[()]

    def _text(self, group: Any, name: str) -> bytes:
        dataset = self._dataset(group, name)
        if dataset.dtype.kind != "S" or dataset.shape != ():
            raise BundleError("is no text", where=_place(group, name), found=dataset.dtype)
        length = dataset.dtype.itemsize
        if length > LARGEST_TEXT:
            raise BundleError("the text is too long", where=_place(group, name), found=length, limit=LARGEST_TEXT)
        return bytes(dataset[()])


def _declared_bytes(dataset: Any, where: str) -> int:
    if dataset.shape is None:
        raise BundleError("is a dataset without a shape", where=where)
    return math.prod(int(axis) for axis in dataset.shape) * int(dataset.dtype.itemsize)


def _place(group: Any, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"


@contextmanager
def opened(path: Path) -> Iterator[Hdf5Reader]:
    """The file at `path`, open for reading; whatever h5py raises becomes a BundleError."""
    import h5py

    try:
        with path.open("rb") as file:
            start, size = file.read(len(_SIGNATURE)), path.stat().st_size
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror or error}") from error
    if start != _SIGNATURE:
        raise BundleError("is no nmdeploy bundle: not an HDF5 file")
    try:
        # No lock: bundles are only ever replaced as a whole, and may lie on a read-only disk.
        with h5py.File(path, "r", locking=False) as file:
            yield Hdf5Reader(file, size)
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
        where = f"{path}: {_printable(error.where)}" if error.where else str(path)
        what, found = _printable(error.what), None if error.found is None else _printable(error.found)
        raise BundleError(what, where=where, found=found, limit=error.limit, hint=error.hint) from error


def _printable(value: object) -> str:
    """Text from a file as a piece of one line: nothing that moves a terminal's cursor, and not endless."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

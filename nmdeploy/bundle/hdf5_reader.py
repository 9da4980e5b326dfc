"""Reading the sections of a bundle: groups of datasets, plainly stored, of the element types of a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmdeploy.bundle import header as headers
from nmdeploy.bundle.hdf5_writer import HEADER, RECORD
from nmdeploy.bundle.header import Header
from nmdeploy.bundle.plain_hdf5 import PlainHdf5, opened_hdf5, place
from nmdeploy.bundle.sections import Section
from nmdeploy.bundle.stored_array import DTYPES
from nmdeploy.errors import BundleError

LARGEST_TEXT = 1 << 26
"""Most bytes of a JSON text."""


class Hdf5Reader(PlainHdf5):
    """An open bundle file; made by `opened`."""

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

        group = self.linked(self._file, name)
        if not isinstance(group, h5py.Group):
            raise BundleError("is no section", where=name)
        names = list(group)
        if RECORD not in names:
            raise BundleError("the section has no record", where=name)
        arrays = {key: self._array(group, key) for key in names if key != RECORD}
        return Section(self._text(group, RECORD), arrays)

    def _array(self, group: Any, name: str) -> Any:
        dataset = self.dataset(group, name)
        kind = dataset.dtype
        if kind.metadata or kind.name not in DTYPES or kind.byteorder == ">":
            raise BundleError("elements of a type that bundles do not hold", where=place(group, name), found=kind)
        return dataset[()]

    def _text(self, group: Any, name: str) -> bytes:
        dataset = self.dataset(group, name)
        if dataset.dtype.kind != "S" or dataset.shape != ():
            raise BundleError("is no text", where=place(group, name), found=dataset.dtype)
        length = dataset.dtype.itemsize
        if length > LARGEST_TEXT:
            raise BundleError("the text is too long", where=place(group, name), found=length, limit=LARGEST_TEXT)
        return bytes(dataset[()])


@contextmanager
def opened(path: Path) -> Iterator[Hdf5Reader]:
    """The file at `path`, open for reading; whatever h5py raises becomes a BundleError."""
    with opened_hdf5(path, "is no nmdeploy bundle: not an HDF5 file") as (file, size):
        yield Hdf5Reader(file, size)

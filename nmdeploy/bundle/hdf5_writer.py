"""Sections as the bytes of an HDF5 file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nmdeploy.bundle.header import Header
from nmdeploy.bundle.sections import Section

HEADER = "header.json"
RECORD = "record.json"
"""Names of the text datasets: the file's header, and the record of each section."""

# One fixed version of the file format, the oldest with checksums over its metadata.
_LIBVER = ("v108", "v108")


@contextmanager
def in_memory() -> Iterator[tuple[Any, Callable[[], bytes]]]:
    """An `h5py.File` built in memory, and what gives its bytes so far.

    No names, times or other traces of the machine get into it, as long as datasets are
    made with `track_times=False`.
    """
    import h5py

    with h5py.File("bundle", "w", driver="core", backing_store=False, libver=_LIBVER, track_order=False) as file:

        def image() -> bytes:
            file.flush()
            content: bytes = file.id.get_file_image()
            return content

        yield file, image


def file_image(header: Header, sections: Mapping[str, Section]) -> bytes:
    """The file of a bundle."""
    with in_memory() as (file, image):
        _add(file, HEADER, np.bytes_(header.text()))
        for name in sorted(sections):
            group = file.create_group(name)
            _add(group, RECORD, np.bytes_(sections[name].text))
            for key in sorted(sections[name].arrays):
                _add(group, key, sections[name].arrays[key])
        return image()


def _add(group: Any, name: str, content: Any) -> None:
    # No chunks, no filters: a reader can prove the size of every dataset before it takes memory.
    group.create_dataset(name, data=content, track_times=False)

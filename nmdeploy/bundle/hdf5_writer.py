"""Sections as the bytes of an HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nmdeploy.bundle.header import Header
from nmdeploy.bundle.sections import Section

HEADER = "header.json"
RECORD = "record.json"
"""Names of the text datasets: the file's header, and the record of each section."""

# One fixed version of the file format, the oldest with checksums over its metadata.
_LIBVER = ("v108", "v108")


def file_image(header: Header, sections: Mapping[str, Section]) -> bytes:
    """The file, built in memory: no names, times or other traces of the machine get into it."""
    import h5py

    with h5py.File("bundle", "w", driver="core", backing_store=False, libver=_LIBVER, track_order=False) as file:
        _add(file, HEADER, np.bytes_(header.text()))
        for name in sorted(sections):
            group = file.create_group(name)
            _add(group, RECORD, np.bytes_(sections[name].text))
            for key in sorted(sections[name].arrays):
                _add(group, key, sections[name].arrays[key])
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def _add(group: Any, name: str, content: Any) -> None:
    # No chunks, no filters: a reader can prove the size of every dataset before it takes memory.
    group.create_dataset(name, data=content, track_times=False)

"""Saving and loading deployments as `.nmd` files."""

from __future__ import annotations

import os
from pathlib import Path

import nmdeploy
from nmdeploy.bundle.atomic import write_replacing
from nmdeploy.bundle.hdf5_reader import opened
from nmdeploy.bundle.hdf5_writer import file_image
from nmdeploy.bundle.header import SCHEMA, Header
from nmdeploy.bundle.plain_hdf5 import naming
from nmdeploy.bundle.sections import Section, content_digest, deployment_of, sections_of
from nmdeploy.deployment import Deployment
from nmdeploy.errors import BundleError


def save(deployment: Deployment, path: str | os.PathLike[str], *, vectors: bool = True) -> str:
    """Write `deployment` to one file, all or nothing.

    The same deployment gives the same bytes (with one release of nmdeploy and of HDF5).

    Args:
        deployment: what to write.
        path: of the file, by custom `*.nmd`; an existing file is replaced.
        vectors: whether a deployment without test vectors gets some: random input spikes, and what the
            emulator makes of them, so that the bundle can test itself.

    Returns:
        The content hash.

    Raises:
        BundleError: when a value cannot be stored, or the file cannot be written; an
            existing file is then untouched.
    """
    if vectors:
        from nmdeploy.example import with_example_vectors

        deployment = with_example_vectors(deployment)
    sections = sections_of(deployment)
    header = _header(sections)
    write_replacing(Path(path), file_image(header, sections))
    return header.content_hash


def load(path: str | os.PathLike[str]) -> Deployment:
    """Read a deployment; the file is data, nothing in it is run or followed.

    Raises:
        BundleError: naming the file, when it is missing, torn, foreign, damaged, newer
            than this release, or names neuron models of a target that is not installed.
    """
    with naming(Path(path)):
        with opened(Path(path)) as reader:
            header, sections = reader.header(), reader.sections()
        _check_hashes(header, sections)
        return deployment_of(sections, older=header.schema < SCHEMA)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read only the header of a bundle: schema, release and hashes, not checked against the content.

    Raises:
        BundleError: as from `load`.
    """
    with naming(Path(path)), opened(Path(path)) as reader:
        return reader.header()


def content_hash(deployment: Deployment) -> str:
    """SHA-256 over the content of `deployment`, as a bundle of it would carry.

    Raises:
        BundleError: when a value cannot be stored.
    """
    return _header(sections_of(deployment)).content_hash


def _header(sections: dict[str, Section]) -> Header:
    digests = {name: section.digest() for name, section in sections.items()}
    return Header(SCHEMA, nmdeploy.__version__, content_digest(digests), digests)


def _check_hashes(header: Header, sections: dict[str, Section]) -> None:
    for name in sorted(header.sections.keys() | sections.keys()):
        if name not in sections or sections[name].digest() != header.sections.get(name):
            raise BundleError("is damaged: the content is not what was written", where=name)

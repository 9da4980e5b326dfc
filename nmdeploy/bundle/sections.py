"""A deployment as sections, one for each of its fields, and the hashes over their content."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np

from nmdeploy.bundle.decoding import Decoder, defaulted
from nmdeploy.bundle.encoding import encode, json_bytes
from nmdeploy.bundle.stored_array import Array
from nmdeploy.deployment import Deployment
from nmdeploy.errors import BundleError
from nmdeploy.network import Network
from nmdeploy.structure import equal_values, field_names

LARGEST_SIZE = 2**31
"""Most neurons of a population; more is taken for a damaged shape."""


@dataclass(frozen=True)
class Section:
    """One field of a deployment in stored form.

    Attributes:
        text: canonical JSON of the field.
        arrays: the stored arrays by name, their place without the section's name.
    """

    text: bytes
    arrays: Mapping[str, Array]

    def digest(self) -> str:
        """SHA-256 over the text and, by sorted name, every array's name, type, shape and elements.

        Each part is preceded by its length (64 bits, little-endian), so that no two
        contents run together.
        """
        state = hashlib.sha256()
        for part in self._parts():
            state.update(struct.pack("<Q", len(part)))
            state.update(part)
        return state.hexdigest()

    def _parts(self) -> Iterator[bytes | memoryview]:
        yield self.text
        for name in sorted(self.arrays):
            array = self.arrays[name]
            yield name.encode("ascii")
            yield json_bytes([array.dtype.name, list(array.shape)])
            yield array.reshape(-1).view(np.uint8).data


def sections_of(deployment: Deployment) -> dict[str, Section]:
    """The sections of `deployment`, proven to come back as they were.

    Raises:
        BundleError: naming a field that a bundle cannot hold.
    """
    sections = {}
    for name in field_names(deployment):
        arrays: dict[str, Array] = {}
        text = json_bytes(encode(getattr(deployment, name), name, arrays))
        sections[name] = Section(text, {place[len(name) + 1 :]: array for place, array in arrays.items()})
    restored = deployment_of(sections)
    for name in field_names(deployment):
        if not equal_values(getattr(restored, name), getattr(deployment, name)):
            raise BundleError("a bundle cannot hold this: it would not come back as it is", where=name)
    return sections


def deployment_of(sections: Mapping[str, Section], *, older: bool = False) -> Deployment:
    """The deployment of `sections_of`.

    Args:
        sections: of a bundle.
        older: whether it has an older schema; what that did not have gets its default.

    Raises:
        BundleError: naming the place of what is unknown, missing, superfluous or of a wrong type.
    """
    hints = get_type_hints(Deployment)
    names = set(field_names(Deployment))
    if older:
        names -= defaulted(Deployment) - sections.keys()
    if sections.keys() != names:
        raise BundleError("sections are unknown or missing", found=", ".join(sorted(sections.keys() ^ names)))
    values = {name: _decoded(name, section, hints[name], older) for name, section in sections.items()}
    return Deployment(**values)


def _decoded(name: str, section: Section, declared: Any, older: bool) -> Any:
    arrays = {f"{name}.{key}": array for key, array in section.arrays.items()}
    decoder = Decoder(arrays, older=older)
    value = decoder.decode(_parsed(section.text, name), declared, name)
    spare = sorted(arrays.keys() - decoder.used)
    if spare:
        raise BundleError("an array belongs to no record", where=spare[0])
    if isinstance(value, Network):
        _check_sizes(value, name)
    return value


def _parsed(text: bytes, place: str) -> Any:
    try:
        return json.loads(text.decode("ascii"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"the text is no JSON: {error}", where=place) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_sizes(network: Network, place: str) -> None:
    for population in network.populations:
        if population.size > LARGEST_SIZE:
            raise BundleError(
                "the population's shape is absurd", where=f"{place} {population.name}", found=population.shape
            )


def content_digest(digests: Mapping[str, str]) -> str:
    """The hash of a whole deployment: SHA-256 over the canonical JSON of its sections' hashes."""
    return hashlib.sha256(json_bytes(dict(digests))).hexdigest()

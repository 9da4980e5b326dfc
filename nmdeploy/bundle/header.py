"""The header of a bundle: what it is, who made it, and the hashes of its sections."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nmdeploy.bundle.encoding import json_bytes
from nmdeploy.bundle.sections import content_digest
from nmdeploy.errors import BundleError

FORMAT = "nmdeploy deployment"
SCHEMA = 3
"""The schema that this release writes; it reads all from 1 to this."""


_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!-]{0,39}")


@dataclass(frozen=True)
class Header:
    """What a bundle says of itself before anything else is read.

    Attributes:
        schema: version of the layout, a whole number from 1.
        nmdeploy: the release that wrote the file.
        content_hash: SHA-256 over the content; the same deployment has the same hash
            whoever wrote it.
        sections: SHA-256 of every section by name.
    """

    schema: int
    nmdeploy: str
    content_hash: str
    sections: Mapping[str, str]

    def text(self) -> bytes:
        """The JSON that `parse` reads."""
        return json_bytes(
            {
                "format": FORMAT,
                "schema": self.schema,
                "nmdeploy": self.nmdeploy,
                "content_hash": self.content_hash,
                "sections": dict(self.sections),
            }
        )


def parse(text: bytes) -> Header:
    """The header of a bundle.

    Raises:
        BundleError: for another format, a newer schema, or a header that is damaged.
    """
    try:
        plain = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise BundleError("is no nmdeploy bundle: the header names no such format", limit=repr(FORMAT))
    schema, release = plain.get("schema"), plain.get("nmdeploy")
    if type(schema) is not int or schema < 1 or not isinstance(release, str):
        raise BundleError("the header is damaged")
    if schema > SCHEMA:
        maker = release if _VERSION.fullmatch(release) else "of an unknown version"
        raise BundleError(
            "the bundle is newer than this nmdeploy can read",
            found=f"schema {schema}",
            limit=f"schema {SCHEMA}",
            hint=f"made by nmdeploy {maker}; upgrade to that release or a later one",
        )
    sections, content = plain.get("sections"), plain.get("content_hash")
    if not isinstance(sections, dict) or content != content_digest(sections):
        raise BundleError("the header is damaged: its hashes do not agree")
    return Header(schema, release, str(content), sections)

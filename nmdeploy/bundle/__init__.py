"""The `.nmd` bundle: a deployment as one HDF5 file, and the test vectors it carries."""

from nmdeploy.bundle.files import content_hash, load, read_header, save
from nmdeploy.bundle.header import SCHEMA, Header
from nmdeploy.bundle.replay import Difference, ReplayReport, make_vectors, replay

__all__ = [
    "SCHEMA",
    "Difference",
    "Header",
    "ReplayReport",
    "content_hash",
    "load",
    "make_vectors",
    "read_header",
    "replay",
    "save",
]

"""The hash is what the documentation says, so that others can compute it too."""

import hashlib
import struct

import numpy as np

from nmdeploy.bundle.sections import Section, content_digest


def test_the_digest_of_a_section_by_hand():
    arrays = {"b": np.array([[1, -2]], dtype="<i2"), "a.weight": np.array(7, dtype="<i8")}
    parts = [b'{"x":1}', b"a.weight", b'["int64",[]]', struct.pack("<q", 7)]
    parts += [b"b", b'["int16",[1,2]]', struct.pack("<hh", 1, -2)]
    whole = b"".join(struct.pack("<Q", len(part)) + part for part in parts)
    assert Section(b'{"x":1}', arrays).digest() == hashlib.sha256(whole).hexdigest()


def test_the_digest_of_everything_by_hand():
    expected = hashlib.sha256(b'{"chip":"00","network":"ff"}').hexdigest()
    assert content_digest({"network": "ff", "chip": "00"}) == expected


def test_name_type_and_shape_of_an_array_count():
    ones = np.ones(4, dtype="u1")
    digests = {
        Section(b"1", arrays).digest()
        for arrays in (
            {"a": ones},
            {"b": ones},
            {"a": ones.reshape(2, 2)},
            {"a": ones.view("i1")},
            {"a": ones, "b": ones[:0]},
            {},
        )
    }
    assert len(digests) == 6

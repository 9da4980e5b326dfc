"""Names and literals of generated scripts."""

import pytest

from nmdeploy.network import Population
from nmdeploy.script_text import Identifiers, indented, quoted, shapes_text, tuple_text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv", "conv"),
        ("1st", "_1st"),
        ("class", "_class"),
        ("a b", "a_b"),
        ("", "_"),
        ("ünïcode", "_n_code"),
        ("sim", "sim_2"),
    ],
)
def test_an_identifier_is_as_much_like_the_name_as_can_be(name, expected):
    assert Identifiers(["sim"]).new(name) == expected


def test_no_two_identifiers_are_alike():
    names = Identifiers([])
    assert [names.new("a b"), names.new("a_b"), names.new("a-b")] == ["a_b", "a_b_2", "a_b_3"]


def test_literals():
    assert quoted('a "b"\n') == '"a \\"b\\"\\n"'
    assert tuple_text([1]) == "(1,)"
    assert tuple_text(["a", 2]) == '("a", 2)'
    assert indented(["x", "", "y", ""]) == "    x\n\n    y"


def test_shapes():
    populations = [Population("a b", (1, 2, 3)), Population("c", (4,))]
    text = shapes_text({"a b": "a_b", "c": "c"}, populations)
    assert text == '{\n        "a_b": (1, 2, 3),\n        "c": (4,),\n    }'

"""Names and literals of generated scripts."""

from pathlib import Path

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.script_text import (
    FRAME_NAMES,
    Identifiers,
    framed,
    indented,
    keys_text,
    quoted,
    readme_text,
    shapes_text,
    tuple_text,
)
from nmdeploy.synapses import Dense


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


@pytest.mark.parametrize("name", ["__main__", "run"])
def test_a_framed_script_hands_its_network_to_the_driver(tmp_path, name):
    populations = (Population("a b", (2,)), Population("out", (3,), IF(5)))
    network = Network("small", populations, (Projection("a b", "out", (Dense(np.ones((3, 2))),), delay=2),))
    text = framed(
        network,
        {"a b": "a_b", "out": "out_2"},
        about="About it.",
        imports="import os",
        build='def build(spikes):\n    out_2 = spikes["a_b"] + arrays["more"]',
        settings={"build": "build", "exact": True},
    )
    np.savez(tmp_path / "arrays.npz", more=np.arange(2))
    ran = []
    names = {"__name__": name, "__file__": str(tmp_path / "run.py"), "Path": Path, "np": np}
    names |= {"Network": dict, "main": lambda *given: ran.append(given)}
    exec(text, names)
    made = names["NETWORK"]
    np.testing.assert_array_equal(made.pop("build")({"a_b": np.array([5, 6])})["out_2"], [5, 7])
    assert made == {
        "exact": True,
        "inputs": {"a_b": (2,)},
        "neurons": {"out_2": (3,)},
        "latency": 2,
        "outputs": ("out_2",),
    }
    assert ran == ([(names["NETWORK"], tmp_path)] if name == "__main__" else [])
    assert names["__doc__"] == "About it."
    assert set(FRAME_NAMES) <= set(names)


def test_a_readme_tells_of_the_deployment(deployment):
    text = readme_text("{title} {chip} {profile} {latency} {factor}\n{semantics}", deployment, factor=7)
    assert text.startswith(f"small {deployment.chip} {deployment.profile.name} {deployment.network.latency()} 7\n- ")
    assert text.count("\n- ") == len(deployment.profile.semantics)
    assert keys_text({"a b": "a_b", "c": "c"}) == '"a b" is `a_b`, "c" is `c`'

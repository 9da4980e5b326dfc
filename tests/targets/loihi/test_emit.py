"""Emitted Lava scripts: legal Python of fixed bytes, whatever the network is called, and refusals with a reason."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Profile
from quantize import IntegerFormat, Overflow
from targets.loihi import TARGET
from targets.loihi.emit import emit_lava
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract
from targets.loihi.script import make_script


def everything():
    """A network in Loihi's terms with every kind of connection and neuron."""
    even = 2 * np.arange(-3, 3).reshape(2, 3)
    return Network(
        "every thing",
        (
            Population("image", (1, 4, 4)),
            Population("graded", (3,), maximum=200),
            Population("map", (2, 4, 4), LoihiLIF(np.array([[[5]], [[9]]]), bias_mant=2, bias_exp=6)),
            Population("flat", (2,), LoihiLIFReset(7, interval=4, offset=9, v_init=np.array([64, -64]))),
            Population("soft", (2,), LoihiLIFSubtract(7, du=100, dv=50, u_init=3, subtrahend=8)),
        ),
        (
            Projection("image", "map", (Conv2d(2 * np.ones((2, 1, 3, 3), int), padding=1),), 1, -1),
            Projection("map", "map", (), 2),
            Projection("map", "flat", (SumPool2d(4), Reshape((2,)), Dense(np.array([[2, -4], [0, 0]]))), 1, -1),
            Projection("graded", "flat", (Dense(even),), 4, -1),
            Projection("map", "soft", (SumPool2d(4), Reshape((2,))), 3),
            Projection("flat", "soft", (Dense(np.zeros((2, 2), int)),), 1),
            Projection("soft", "soft", (Dense(-np.eye(2, dtype=int)),), 1),
            Projection("soft", "soft", (Dense(np.ones((2, 2), int)),), 2),
        ),
        outputs=("flat", "soft"),
    )


def deployment_of(network, **fields):
    profile = Profile("loihi/lava", (("fire", "v > vth * 64"),))
    return Deployment(network, "loihi", "loihi2", profile, Placement("loihi2", (), {}), **fields)


def test_each_projection_becomes_the_connection_it_is():
    text = make_script(everything()).text
    for line in (
        "image_to_map = Conv(",
        "map_to_map = DelaySparse(",
        "map_to_flat = Dense(",
        "graded_to_flat = DelayDense(",
        "map_to_soft = DelayDense(",
        "map.s_out.flatten().connect(map_to_flat.s_in)",
        "map_to_map.a_out.reshape((4, 4, 2)).connect(map.a_in)",
        '# "flat" to "soft": all weights are 0, there is nothing to connect',
        "soft_to_soft = Dense(",
        "soft_to_soft_2 = DelayDense(",
        "    num_message_bits=8,",
        "    sign_mode=SignMode.INHIBITORY,",
        "    reset_offset=1,",
        "    subtrahend=8,",
    ):
        assert f"    {line}" in text, line


def test_parameters_are_in_lavas_order():
    arrays = make_script(everything()).arrays
    assert arrays["map.vth"].shape == (4, 4, 2)
    assert arrays["map.vth"][0, 0].tolist() == [5, 9]
    assert arrays["flat.v"].tolist() == [64, -64]
    assert arrays["image_to_map.weight"].shape == (2, 3, 3, 1)
    assert arrays["image_to_map.weight"].dtype == np.int8


@pytest.mark.parametrize(
    "name",
    ["1st", "class", "a b", "na\nme", 'quo"te', '"""', "\\", "arrays", "inputs", "LIF", "ünïcode", "", "import os"],
)
def test_no_name_breaks_the_script(name, tmp_path):
    network = Network(
        name,
        (Population(name, (2,)), Population(name + "!", (2,), LoihiLIF(5)), Population(name + "?", (2,), LoihiLIF(5))),
        (
            Projection(name, name + "!", (Dense(np.ones((2, 2), int)),), 1),
            Projection(name + "!", name + "?", (Dense(np.ones((2, 2), int)),), 1),
        ),
    )
    script = make_script(network)
    names: dict[str, object] = {}
    body = script.text[script.text.index("def build") : script.text.index("if __name__")]
    exec(compile(body.replace("NETWORK = Network(", "NETWORK = dict("), "run.py", "exec"), names)
    assert names["NETWORK"]["inputs"] == {script.keys[name]: (2,)}
    assert len(set(script.keys.values())) == 3
    assert all(key.isidentifier() for key in script.keys.values())
    emit_lava(deployment_of(network), tmp_path / "out")
    compile((tmp_path / "out" / "run.py").read_text(encoding="utf-8"), "run.py", "exec")


def test_the_same_deployment_gives_the_same_bytes(tmp_path):
    written = [emit_lava(deployment_of(everything()), tmp_path / name) for name in ("one", "two")]
    assert [path.relative_to(tmp_path / "one") for path in written[0]] == [
        path.relative_to(tmp_path / "two") for path in written[1]
    ]
    for one, two in zip(*written, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_the_code_passes_ruff(tmp_path):
    pytest.importorskip("ruff")
    emit_lava(deployment_of(everything()), tmp_path / "out")
    for command in (["check"], ["format", "--check", "--line-length", "120"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=tmp_path / "out",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_example_is_that_of_the_bundle(tmp_path):
    spikes = {"image": np.ones((3, 2, 1, 4, 4), np.uint8), "graded": np.full((3, 2, 3), 150, np.uint8)}
    deployment = make_vectors(deployment_of(everything()), spikes)
    emit_lava(deployment, tmp_path)
    with np.load(tmp_path / "inputs.npz") as file:
        np.testing.assert_array_equal(file["graded"], spikes["graded"])
        np.testing.assert_array_equal(file["soft.expected"], deployment.vectors.spikes["soft"])


def test_without_vectors_an_example_is_made(tmp_path):
    emit_lava(deployment_of(everything(), steps=5), tmp_path)
    with np.load(tmp_path / "inputs.npz") as file:
        assert file["image"].shape == (5, 1, 1, 4, 4)
        assert file["image"].any()
        assert file["graded"].max() > 1
        assert len(file["flat.expected"]) > 5


def test_the_readme_names_what_is_there(tmp_path):
    emit_lava(deployment_of(everything()), tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    for word in ("every thing", "loihi2", "loihi/lava", "v > vth * 64", json.dumps("soft"), "run.py"):
        assert word in text


def one_projection(projection, neuron=None):
    return Network("net", (Population("a", (2,)), Population("b", (2,), neuron or LoihiLIF(5))), (projection,))


@pytest.mark.parametrize(
    ("network", "code"),
    [
        (one_projection(Projection("a", "b", (), 1), IF(3)), "LOI140"),
        (one_projection(Projection("a", "b", (), 0)), "LOI141"),
        (one_projection(Projection("a", "b", (), 1, 0, IntegerFormat(24, overflow=Overflow.SATURATE))), "LOI142"),
        (one_projection(Projection("a", "b", (), 1, 0, IntegerFormat(16, overflow=Overflow.WRAP))), "LOI142"),
        (one_projection(Projection("a", "b", (Dense(np.array([[1, -1], [2, 2]])),), 1)), "LOI143"),
        (one_projection(Projection("a", "b", (Dense(np.full((2, 2), 256)),), 1)), "LOI143"),
    ],
)
def test_what_lava_would_do_differently_is_refused(network, code):
    with pytest.raises(FitError, match=code):
        make_script(network)


def test_formats_that_lava_has_are_no_hindrance():
    wide = IntegerFormat(32, overflow=Overflow.WRAP)
    assert "a_to_b" in make_script(one_projection(Projection("a", "b", (), 1, 0, wide))).text


def test_the_family_emits_lava_scripts_first(tmp_path):
    assert next(iter(TARGET.emitters())) == "lava"
    ideal = Network(
        "ideal",
        (Population("a", (2,)), Population("b", (2,), IF(3, reset="zero"))),
        (Projection("a", "b", (Dense(np.array([[1, -2], [3, 4]])),)),),
    )
    emitted = TARGET.emitters()["lava"](nm.deploy(ideal, "loihi1", steps=4), tmp_path)
    assert [path.name for path in emitted][:2] == ["run.py", "arrays.npz"]

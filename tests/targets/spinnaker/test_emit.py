"""The emitted folder: a script that reads well, says everything, and refuses what it cannot say."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from quantize import IntegerFormat
from targets.spinnaker import TARGET
from targets.spinnaker.emit import emit_pynn, emit_spynnaker
from targets.spinnaker.generic_script import generic_parameters, make_generic_script
from targets.spinnaker.lower import PROFILES
from targets.spinnaker.mapper.load import events_in_time
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta
from targets.spinnaker.pace import sufficient_time_scale_factor
from targets.spinnaker.script import make_script

ONE = 32768
FAKE = Path(__file__).parent / "fake_spynnaker"


@pytest.fixture(scope="module", params=["chip", "conv"])
def deployment(request, ideal_images):
    return nm.deploy(ideal_images, f"spin5/{request.param}", steps=6)


def deployment_of(network):
    return Deployment(network, "spinnaker", "spin5", PROFILES["chip"], Placement("spin5", (), {}))


def pair(neuron=None, weights=((1, -2), (3, 4)), delay=1, **source):
    """Two inputs on two neurons."""
    projection = Projection("a", "b", (Dense(np.array(weights)),), delay)
    neuron = IFTruncDelta() if neuron is None else neuron
    return Network("net", (Population("a", (2,), **source), Population("b", (len(weights),), neuron)), (projection,))


def test_the_folder_is_complete(deployment, tmp_path):
    written = TARGET.emitters()["spynnaker"](deployment, tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == [
        "README.md",
        "arrays.npz",
        "inputs.npz",
        "nmdeploy_pynn/__init__.py",
        "nmdeploy_pynn/driver.py",
        "nmdeploy_pynn/spynnaker.py",
        "run.py",
        "spynnaker.cfg",
    ]
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    for word in ("images", "spin5", deployment.profile.name, "sPyNNaker==1!7.4.1", json.dumps("flat"), "spynnaker.cfg"):
        assert word in readme
    assert "read_placements_provenance_data = True" in (tmp_path / "spynnaker.cfg").read_text()


def test_the_same_deployment_gives_the_same_bytes(deployment, tmp_path):
    for name, emit in (("spynnaker", emit_spynnaker), ("pynn", emit_pynn)):
        one, two = (emit(deployment, tmp_path / f"{name}{index}") for index in (1, 2))
        assert [path.name for path in one] == [path.name for path in two]
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_the_code_passes_ruff(deployment, tmp_path):
    pytest.importorskip("ruff")
    emit_spynnaker(deployment, tmp_path / "out")
    emit_pynn(deployment, tmp_path / "generic")
    for command in (["check"], ["format", "--check", "--line-length", "120"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_the_script_runs_by_itself_and_meets_the_vectors(deployment, tmp_path, rng):
    spikes = (rng.random((6, 1, 2, 12, 8)) < 0.4).astype(np.uint8)
    emit_spynnaker(make_vectors(deployment, spikes), tmp_path)
    done = script(tmp_path, "--time-scale-factor", "4")
    assert done.returncode == 0, done.stderr
    assert " 0 differences" in done.stdout


def script(folder, *arguments):
    """Run an emitted script with the stand-in for sPyNNaker."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / ".spynnaker.cfg").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(FAKE), "HOME": str(home)}
    command = [sys.executable, "run.py", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["1st", "class", "a b", "na\nme", 'quo"te', '"""', "\\", "sim", "chip", "ünïcode", ""])
def test_no_name_breaks_a_script(name):
    network = Network(
        name,
        (Population(name, (2,)), Population(name + "!", (2,), IFTruncDelta())),
        (Projection(name, name + "!", (Dense(np.ones((2, 2), int)),), 1),),
    )
    for made in (make_script(network), make_generic_script(network)):
        compile(made.text, "run.py", "exec")
        assert len(set(made.keys.values())) == 2
        assert all(key.isidentifier() for key in made.keys.values())


def test_an_odd_population_is_filled_up(tmp_path):
    made = make_script(pair(IFTruncDelta(i_offset=7, v_init=5), weights=((1, -2), (3, 4), (5, 6))))
    assert made.arrays["b.i_offset"].tolist() == [[7, 7, 7, 0]]
    assert made.arrays["b.v"].tolist() == [[5, 5, 5, 0]]
    assert made.arrays["b.v_thresh"].tolist() == [[ONE] * 4]
    assert made.arrays["a_to_b"].tolist() == [[0, 0, 1], [0, 1, 3], [0, 2, 5], [1, 0, -2], [1, 1, 4], [1, 2, 6]]


def test_shifts_are_in_the_units():
    made = make_script(pair(IFTruncDelta(shift_exc=3, shift_inh=1)))
    assert f"units=({2.0**-12}, {2.0**-14})" in made.text


@pytest.mark.parametrize(
    ("network", "code"),
    [
        (pair(maximum=3), "SPI002"),
        (pair(IF(5)), "SPI001"),
        (pair(IFTruncDelta(shift_exc=np.array([0, 1]))), "SPI007"),
        (pair(IFCurrExp(time_step=ONE // 2)), "SPI010"),
        (pair(IFCurrDelta(isyn_inh=3)), "SPI011"),
        (pair(IFTruncDelta(isyn_exc=3)), "SPI011"),
        (pair(IFTruncDelta(v_thresh=ONE + 1)), "SPI012"),
        (pair(delay=0), "SPI016"),
        (pair(delay=1 << 13), "SPI017"),
        (pair(weights=((65536, 0), (0, 0))), "SPI005"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(network, code, tmp_path):
    for emit in (emit_spynnaker, emit_pynn):
        with pytest.raises(FitError, match=code):
            emit(deployment_of(network), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changes", [{"exponent": 1}, {"accumulator": IntegerFormat(20)}])
def test_sums_with_a_form_of_their_own_are_refused(changes):
    network = pair()
    with pytest.raises(FitError, match="SPI004"):
        make_script(replace(network, projections=(replace(network.projections[0], **changes),)))


def test_a_core_with_much_to_do_gets_more_time(tmp_path, ideal_dense):
    small, large = (nm.deploy(ideal_dense(sizes), "spin5", steps=2) for sizes in ((9, 9, 2), (300, 256, 2)))
    limit = events_in_time(TARGET.chips()["spin5"])
    factor = sufficient_time_scale_factor(large)
    assert sufficient_time_scale_factor(small) == 1
    assert 300 * 256 / limit < factor < 300 * 256 / limit + 3
    emit_spynnaker(large, tmp_path)
    assert f"time_scale_factor={factor}," in (tmp_path / "run.py").read_text()
    assert f"the default, {factor}, should" in (tmp_path / "README.md").read_text()


def test_the_largest_weight_is_no_hindrance():
    assert make_script(pair(weights=((65535, -65535), (0, 1)))).arrays["a_to_b"][:, 2].tolist() == [65535, -65535, 1]


def test_the_generic_script_says_that_it_is_not_exact(deployment, tmp_path):
    TARGET.emitters()["pynn"](deployment, tmp_path)
    assert "NOT BIT-EXACT" in (tmp_path / "run.py").read_text()
    assert "Not bit-exact" in (tmp_path / "README.md").read_text()
    assert "NEST" in (tmp_path / "README.md").read_text()


def test_generic_parameters_integrate_as_much_as_the_chip():
    """A step of PyNN's equation dv/dt = (v_rest - v) / tau_m + i / cm against a step on the chip."""
    for neuron in (IFTruncDelta(i_offset=300, cm=2 * ONE, tau_m=3 * ONE), IFCurrDelta(i_offset=3000, tau_m=20 * ONE)):
        _, given = generic_parameters(Population("p", (1,), replace(neuron, v_reset=-ONE)))
        decay = np.exp(-1 / given["tau_m"])
        gain = given["tau_m"] / given["cm"] * (1 - decay) * given["i_offset"]
        state = neuron.initial_state((1, 1), np.dtype(np.int64))
        neuron.step(state, np.zeros((2, 1, 1), np.int64))
        assert state["v"][0, 0] / ONE == pytest.approx(float(gain[0]), rel=0.01)


def test_generic_weights_are_steps_of_the_potential():
    made = make_generic_script(pair(IFTruncDelta(tau_m=2 * ONE), weights=((100, -200), (0, 400))))
    assert made.arrays["a_to_b.pairs"].tolist() == [[0, 0], [1, 0], [1, 1]]
    np.testing.assert_allclose(made.arrays["a_to_b.weights"], np.array([200, -400, 800]) / ONE)
    made = make_generic_script(pair(IFCurrExp(shift_exc=1), weights=((100, -200), (0, 400))))
    np.testing.assert_allclose(made.arrays["a_to_b.weights"], np.array([200, -200, 800]) / ONE)


@pytest.mark.slow
def test_the_generic_script_runs_on_brian2(tmp_path, rng):
    """Close to the chip, not equal: NMDEPLOY_PYNN_PYTHON names a Python that has PyNN 0.12 and Brian2."""
    python = os.environ.get("NMDEPLOY_PYNN_PYTHON")
    if python is None:
        pytest.skip("NMDEPLOY_PYNN_PYTHON names no Python with PyNN and Brian2")
    # Without inhibition the chip's floor, which simulators lack, has nothing to cut off.
    network = Network(
        "positive",
        (Population("in", (20,)), Population("hidden", (12,), IF(300, bias=4, reset="zero"))),
        (Projection("in", "hidden", (Dense(rng.integers(0, 40, (12, 20))),)),),
    )
    deployment = nm.deploy(network, "spin5", steps=30)
    spikes = (rng.random((30, 3, 20)) < 0.3).astype(np.uint8)
    spikes[:, :, :5] = 0
    emit_pynn(make_vectors(deployment, spikes), tmp_path)
    (tmp_path / "brian_preferences").write_text('codegen.target = "numpy"\n')
    command = [python, "run.py", "--all-spikes"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "not bit-exact" in done.stdout
    emulated = nm.emulate(deployment, spikes, record=Recording(spikes=("*",)))
    with np.load(tmp_path / "spikes.npz") as result:
        ours, theirs = (each.sum(axis=0, dtype=int) for each in (emulated.spikes["hidden"], result["hidden.spikes"]))
    assert ours.sum() > 100
    # Brian2 resets after synapses: what arrives in the step of a spike is lost, so each spike takes a step longer.
    expected = 30 / (30 / ours + 1)
    assert np.abs(expected - theirs).max() <= 1.5

"""Streams on chips: rules, placement, bundle, test vectors, decisions from one run, and the vendor's script."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import load, replay, save
from nmdeploy.coding import Streamed
from nmdeploy.convert.exact import deploy_stream, early_spikes, infer_stream, stream
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.inference import infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import off_schedule
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Severity

CHIPS = ("loihi1", "loihi1/subtract", "loihi2", "spinnaker")


def image_network():
    rng = np.random.default_rng(8)
    populations = (
        Population("in", (1, 6, 6)),
        Population("conv", (2, 6, 6), IF(1.0, bias=rng.normal(size=(2, 1, 1)) / 5)),
        Population("fc", (10,), IF(1.0)),
        Population("out", (4,), Integrator(bias=rng.normal(size=4))),
    )
    projections = (
        Projection("in", "conv", (Conv2d(rng.normal(size=(2, 1, 3, 3)) / 2, padding=1),)),
        Projection("conv", "fc", (SumPool2d(2), Reshape((18,)), Dense(rng.normal(size=(10, 18)) / 3))),
        Projection("fc", "out", (Dense(rng.normal(size=(4, 10))),)),
    )
    return Network("image", populations, projections)


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(9).random((5, 1, 6, 6))


@pytest.fixture(scope="module")
def exact_on(in_exact_mode):
    return {chip: in_exact_mode(image_network(), chip, levels=4, steps=8).exact for chip in CHIPS}


@pytest.mark.parametrize("chip", CHIPS)
def test_a_stream_decides_like_single_samples_and_like_the_quantized_network(exact_on, samples, chip, tmp_path):
    exact = exact_on[chip]
    deployment = deploy_stream(exact, chip, samples=samples[:2])
    assert not [each for each in deployment.remarks if each.severity is Severity.ERROR]
    assert not {each.code for each in deployment.remarks} & {"SPI006", "SPI043", "LOI007", "LOI103"}
    assert isinstance(deployment.encoder, Streamed)
    save(deployment, tmp_path / "stream.nmd")
    loaded = load(tmp_path / "stream.nmd")
    assert loaded == deployment
    report = replay(loaded)
    assert report.passed
    assert report.steps == exact.steps + stream(exact).period + deployment.network.latency()
    together, single = infer_stream(loaded, samples), infer(loaded, samples)
    scale = exact.ann.network["out"].potential_scale
    wanted = exact.ann.counts(exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))["out"]
    np.testing.assert_allclose(single.decision.scores, wanted * scale, rtol=1e-12)
    np.testing.assert_allclose(together.decision.scores, wanted * scale, rtol=0, atol=scale)
    np.testing.assert_array_equal(together.decision.labels, single.decision.labels)
    assert not any(off_schedule(loaded.network, together.result).values())
    assert not any(early_spikes(loaded, samples).values())


def test_a_backend_runs_a_stream(exact_on, samples):
    deployment = deploy_stream(exact_on["loihi1"], "loihi1")

    class Emulating:
        def run(self, given, inputs, *, record):
            assert given is deployment
            return replace(emulate(given.network, inputs, record=record), origin="somewhere else")

    found = infer_stream(deployment, samples, backend=Emulating())
    assert found.result.origin == "somewhere else"
    np.testing.assert_array_equal(found.decision.scores, infer_stream(deployment, samples).decision.scores)


@pytest.mark.parametrize(("chip", "emitter"), [("loihi1", "lava"), ("spinnaker", "spynnaker")])
def test_the_vendor_s_script_has_all_clocks(exact_on, samples, chip, emitter, tmp_path):
    deployment = deploy_stream(exact_on[chip], chip, samples=samples[:2])
    written = nm.chip(chip).target.emitters()[emitter](deployment, tmp_path)
    text = "\n".join(path.read_text() for path in written if path.suffix == ".py")
    assert text.count("conv.clear") >= 1
    assert all(population.name in text for population in deployment.network.inputs)


def test_other_deployments_are_no_streams(exact_on, in_exact_mode, samples):
    case = in_exact_mode(image_network(), "loihi1", levels=4, steps=8)
    with pytest.raises(UsageError, match="no stream with one output"):
        infer_stream(case.deployment, samples)
    with pytest.raises(UsageError, match="no samples"):
        infer_stream(deploy_stream(exact_on["loihi1"], "loihi1"), samples[:0])


def test_a_broken_promise_makes_no_emulation_wrong(exact_on, samples):
    """A network whose gates come a step early: told by its run, and reference and engine still agree."""
    deployment = deploy_stream(exact_on["loihi1"], "loihi1")
    inputs = dict(stream(exact_on["loihi1"]).inputs(samples[:2]))
    inputs["conv.gate"] = np.roll(inputs["conv.gate"], -1, axis=0)
    inputs["fc.restore"] = np.ones_like(inputs["fc.restore"])
    runs = [
        emulate(deployment.network, inputs, record=Recording(spikes=(ALL,), potentials=(ALL,)), engine=engine)
        for engine in ("reference", "fast")
    ]
    for name in runs[0].spikes:
        np.testing.assert_array_equal(runs[0].spikes[name], runs[1].spikes[name])
    for name in runs[0].potentials:
        np.testing.assert_array_equal(runs[0].potentials[name], runs[1].potentials[name])
    broken = off_schedule(deployment.network, runs[0])
    assert broken["conv.gate"] == 2 * deployment.network["conv.gate"].size
    assert broken["fc.restore"] > 0

import json

import numpy as np
import pytest

from nmdeploy.bench import as_plain, bench, render_bench
from nmdeploy.bench import stimuli as stimuli_module
from nmdeploy.bench.measure import Layer
from nmdeploy.bench.render import kernels
from nmdeploy.deployment import TestVectors
from nmdeploy.emulator import compiled
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import CheckFailed, UsageError


def test_what_is_counted_is_what_runs(deployment):
    measured = bench(deployment, images=10, repeats=3)
    result = emulate(deployment, deployment.vectors.inputs)
    assert len(measured.wall_seconds) == len(measured.cpu_seconds) == 3
    assert measured.steps == result.steps
    assert [layer.name for layer in measured.layers] == ["in", "conv", "dead", "out"]
    for layer in measured.layers:
        entering = {projection.name for projection in deployment.network.into(layer.name)}
        operations = sum(result.synaptic_operations[name].sum() for name in entering) / result.samples
        assert layer.operations == pytest.approx(operations)
        spikes = result.total_spikes[layer.name].sum() / (result.samples * result.steps * layer.neurons)
        assert layer.spike_rate == pytest.approx(spikes)
    assert measured.operations > 0
    assert all(layer.seconds > 0 for layer in measured.layers)
    assert measured.images_per_second == pytest.approx(10 / sorted(measured.wall_seconds)[1])
    assert measured.operations_per_second == pytest.approx(measured.operations * measured.images_per_second)
    assert measured.origin == result.origin


def test_the_numpy_engine_tells_its_kernels(deployment):
    measured = bench(deployment, images=2, repeats=1, engine="numpy")
    assert measured.origin == "emulated (numpy engine)"
    conv = measured.layers[1]
    assert sum(conv.kernels.values()) == 2 * measured.steps
    assert "numpy float32" in conv.kernels


def test_more_images_than_memory_holds_are_the_same_ones_again(deployment, monkeypatch):
    monkeypatch.setattr(stimuli_module, "LARGEST_STIMULUS", 4 * 8 * 36)
    whole = bench(deployment, images=10, repeats=1)
    assert "4 of them, again and again" in whole.inputs
    assert whole.images == 10


def test_progress_is_told_after_every_run(deployment):
    told = []
    bench(deployment, images=1, repeats=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_random_inputs_are_checked_against_the_reference(deployment):
    measured = bench(deployment, images=3, repeats=1, rate=0.3)
    assert "reference" in measured.check
    assert "as asked" in measured.inputs


def test_an_engine_that_gives_other_spikes_is_not_timed(deployment):
    vectors = deployment.vectors
    wrong = {name: spikes.copy() for name, spikes in vectors.spikes.items()}
    wrong["out"][-1, 0, 0] ^= 1
    broken = deployment.with_(vectors=TestVectors(vectors.inputs, wrong, vectors.potentials))
    with pytest.raises(CheckFailed, match=r"small, out.*1 of"):
        bench(broken, images=5)


@pytest.mark.parametrize(("engine", "built"), [("numpy", True), ("fast", False)])
def test_the_numpy_engine_has_no_threads_of_its_own(deployment, monkeypatch, engine, built):
    if not built:
        monkeypatch.setattr(compiled, "sets", lambda: ())
    with pytest.raises(UsageError, match="OMP_NUM_THREADS"):
        bench(deployment, engine=engine, threads=2)
    measured = bench(deployment, engine=engine, images=1, repeats=1)
    assert measured.threads is None
    assert "threads as BLAS decides" in render_bench(measured)


@pytest.mark.skipif(not compiled.sets(), reason="the compiled engine was not built")
@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread\n"), (2, "2 threads\n")])
def test_threads_of_the_compiled_engine(deployment, threads, words):
    measured = bench(deployment, images=4, repeats=1, threads=threads)
    assert measured.threads == threads
    assert f"emulated (compiled engine), {words}" in render_bench(measured)


@pytest.mark.parametrize("option", ["images", "repeats", "threads"])
def test_nothing_to_measure(deployment, option):
    with pytest.raises(UsageError, match=option):
        bench(deployment, **{option: 0})


def test_the_text_says_what_was_measured_and_on_what(deployment):
    text = render_bench(bench(deployment, images=2, repeats=2))
    for words in (
        "small on toy1",
        "profile toy/plain",
        "(measured, n = 2 runs",
        "images/s",
        "synops",
        "load",
    ):
        assert words in text
    for name in ("in", "conv", "dead", "out"):
        assert any(line.startswith(f"{name} ") for line in text.splitlines())


def test_json_holds_every_single_time(deployment):
    measured = bench(deployment, images=2, repeats=2)
    plain = json.loads(json.dumps(as_plain(measured)))
    assert plain["speed"]["wall_seconds"] == list(measured.wall_seconds)
    assert plain["speed"]["kind"] == "measured"
    assert plain["work"] == {"kind": "emulated", "synaptic_operations_per_image": measured.operations}
    assert [layer["name"] for layer in plain["layers"]] == ["in", "conv", "dead", "out"]
    assert plain["machine"]["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, "-"),
        ({"event": 0}, "-"),
        ({"event": 7, "dense": 0}, "event"),
        ({"silent": 10, "event": 900, "dense": 90}, "event 90.0 %, dense 9.0 %, silent 1.0 %"),
    ],
)
def test_kernels_in_words(counts, text):
    assert kernels(Layer("a", 1, 0.0, 0.0, 0.0, counts)) == text

"""How far a chip may differ: runs under candidate orders, and the class of every deployment, told and stored."""

import json

import numpy as np
import pytest

from nmdeploy.bundle import save
from nmdeploy.cli.main import run
from nmdeploy.coding import DeterministicRate, SpikeCount
from nmdeploy.deployment import deploy
from nmdeploy.errors import UsageError
from nmdeploy.inference import infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.report import build_report, render_json, render_text
from nmdeploy.report.exactness import spread_sections
from nmdeploy.report.render import text_section
from nmdeploy.spread import candidate_orders, exactness, spread
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Grade

STEPS = 12
SAMPLES = 12


def small_network(floor=None):
    rng = np.random.Generator(np.random.PCG64(4))
    first = Conv2d(rng.integers(-60, 90, (4, 1, 3, 3)).astype(np.int8))
    second = Conv2d(rng.integers(-60, 70, (4, 4, 2, 2)).astype(np.int8))
    head = (SumPool2d(2), Reshape((16,)), Dense(rng.integers(-60, 60, (3, 16)).astype(np.int8)))
    return Network(
        "three layers",
        (
            Population("in", (1, 7, 7)),
            Population("a", (4, 5, 5), IF(150)),
            Population("b", (4, 4, 4), IF(150, v_min=floor)),
            Population("out", (3,), IF(300)),
        ),
        (Projection("in", "a", (first,)), Projection("a", "b", (second,)), Projection("b", "out", head)),
    )


@pytest.fixture(scope="module")
def images():
    return np.random.Generator(np.random.PCG64(6)).random((SAMPLES, 1, 7, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def deployed():
    return deploy(small_network(floor=-20), "speck2f", encoder=DeterministicRate(), readout=SpikeCount(), steps=STEPS)


@pytest.fixture(scope="module")
def found(deployed, images):
    return spread(deployed, images)


def test_every_order_is_a_run_of_its_own(deployed, images, found):
    candidates = candidate_orders(deployed)
    assert found.orders == tuple(candidates)
    for place, candidate in enumerate(candidates.values()):
        own = infer(candidate, images)
        layer = found.layers[-1]
        np.testing.assert_array_equal(layer.spikes[place], own.result.total_spikes["out"])
        np.testing.assert_array_equal(found.decisions[place].labels, own.decision.labels)
    assert (found.samples, found.steps) == (SAMPLES, STEPS)


def test_the_first_layer_hangs_on_no_order_and_others_do(found):
    first, second, _ = found.layers
    assert [layer.population for layer in found.layers] == ["a", "b", "out"]
    assert first.share == 0
    assert first.largest == 0
    assert first.range[0] == first.range[1] == first.spikes[0].mean()
    assert 0 < second.share <= 1
    assert second.largest >= 1
    assert second.range[0] <= second.spikes[0].mean() <= second.range[1]


def test_decisions_that_change_are_named(found):
    labels = found.labels
    different = [sample for sample in range(SAMPLES) if len(set(labels[:, sample].tolist())) > 1]
    assert found.unsure.tolist() == different
    assert found.changed[0] == 0
    assert found.changed == tuple(int((each != labels[0]).sum()) for each in labels)
    truth = np.where(labels[1] < 0, 0, labels[1])
    assert found.correct(truth)[1] == int((labels[1] >= 0).sum())


def test_the_spread_is_a_table(found):
    layers, decisions = spread_sections(found)
    assert layers.title == "Spread over 6 orders (emulated)"
    assert f"{SAMPLES} samples of {STEPS} steps under each order; {found.origin}." in text_section(layers)
    assert [row[0] for row in layers.rows] == ["a", "b", "out"]
    assert {row[2] for row in decisions.rows} == {"-"}
    assert spread_sections(found, np.zeros(SAMPLES, int))[1].rows[0][2] == f"{100 * found.correct(0)[0] / SAMPLES:.2f}"
    assert f"in {len(found.unsure)} of {SAMPLES} samples" in decisions.lines[0]


def test_so_many_orders_as_asked_for_with_progress(deployed, images):
    seen = []
    two = spread(deployed, images, 2, progress=lambda *done: seen.append(done))
    assert two.orders == ("yxc", "cyx")
    assert seen == [(SAMPLES, 2 * SAMPLES), (2 * SAMPLES, 2 * SAMPLES)]
    with pytest.raises(UsageError, match=r"at least two orders \(found 1, limit 6\)"):
        spread(deployed, images, 1)


def test_where_nothing_is_unpublished_there_is_no_spread(images, deployed):
    loihi = deploy(small_network(), "loihi1", steps=STEPS)
    with pytest.raises(UsageError, match="no order of events is in question"):
        spread(loihi, images)
    assert candidate_orders(deployed.with_(target="toy")) == {}


def test_every_deployment_has_a_class(deployed):
    assert exactness(deploy(small_network(), "loihi1", steps=STEPS)).grade is Grade.EXACT
    assert exactness(deployed).grade is Grade.UP_TO_ORDER
    assert exactness(deployed.with_(target="toy")) is None


def test_the_report_tells_it_with_its_reasons(deployed):
    report = build_report(deployed)
    text = render_text(report)
    assert "Exactness class B: exact but for what nobody has published." in text
    assert "b, out: the order in which the neurons that one event reaches fire is not published" in text
    assert "b: the floor of -20 is taken to hold for events" in text
    stored = json.loads(render_json(report))["exactness"]
    assert stored["class"] == "B"
    assert stored["reasons"] == list(exactness(deployed).reasons)
    loihi = build_report(deploy(small_network(), "loihi1", steps=STEPS))
    assert "Exactness class A: the chip gives every emulated spike and potential." in render_text(loihi)
    unknown = build_report(deployed.with_(target="toy"))
    assert "Exactness" not in render_text(unknown)
    assert json.loads(render_json(unknown))["exactness"] is None


@pytest.fixture
def files(deployed, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(deployed, tmp_path / "net.nmd")
    np.savez(tmp_path / "data.npz", x=images, y=np.arange(SAMPLES) % 3)


@pytest.mark.usefixtures("files")
def test_run_prints_class_and_spread(capsys, found):
    assert run(["run", "net.nmd", "--data", "data.npz", "--orders", "6", "-o", "out.npz"]) == 0
    out = capsys.readouterr().out
    assert "exactness class B: exact but for what nobody has published; b: the floor" in out
    truth = np.arange(SAMPLES) % 3
    for section in spread_sections(found, truth):
        assert text_section(section) in out
    with np.load("out.npz", allow_pickle=False) as written:
        np.testing.assert_array_equal(written["labels_by_order"], found.labels)
        np.testing.assert_array_equal(written["spikes.b"], found.layers[1].spikes)
        assert tuple(written["orders"]) == found.orders


@pytest.mark.usefixtures("files")
def test_run_without_orders_prints_no_spread(capsys):
    assert run(["run", "net.nmd", "--data", "data.npz"]) == 0
    assert "Spread" not in capsys.readouterr().out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("count", ["0", "1"])
def test_one_order_is_no_spread(capsys, count):
    assert run(["run", "net.nmd", "--data", "data.npz", "--orders", count]) == 2
    assert "--orders" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_orders_are_the_emulator_s(capsys, monkeypatch):
    from nmdeploy.cli import run as command
    from nmdeploy.harness.runner import Runner

    monkeypatch.setattr(command, "chosen_runner", lambda *_, **__: Runner("board", object(), "a board"))
    assert run(["run", "net.nmd", "--data", "data.npz", "--orders", "2", "--on", "board"]) == 2
    assert "candidate orders are for the emulator (found --on board)" in capsys.readouterr().err

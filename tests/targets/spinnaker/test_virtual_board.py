"""sPyNNaker's map of a deployment, from a recording of its virtual board, and every kind of planted fault in it."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmdeploy import vendor_python
from nmdeploy.backend import RunSettings
from nmdeploy.errors import HardwareUnavailable, RunError, UsageError
from targets.spinnaker import TARGET, installation, virtual_board

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded" / "virtual_board.json").read_text())
ANSWER = {"version": "7.4.1", "python": "3.11.9", "user_base": "/packages"}


@pytest.fixture(scope="module")
def deployment(tiny_deployment):
    return tiny_deployment


@pytest.fixture
def child(monkeypatch):
    """A stand-in for sPyNNaker: it leaves the recording behind, after `change(mapping, regions)`."""
    called, changes = [], []

    def run_child(command, *, what, folder, limit_s, environment):
        called.append((command, limit_s, environment, {path.name for path in folder.rglob("*.*")}))
        mapping = json.loads(json.dumps(RECORDED["mapping"]))
        regions = {
            place: {label: np.frombuffer(bytes.fromhex(content), "<u4").copy() for label, content in given.items()}
            for place, given in RECORDED["regions"].items()
        }
        for change in changes:
            change(mapping, regions)
        mapping["data"] = str(folder / "ds.sqlite3")
        with sqlite3.connect(folder / "ds.sqlite3") as base:
            base.execute("CREATE TABLE region (x, y, p, region_label, content)")
            for place, given in regions.items():
                for label, words in given.items():
                    base.execute(
                        "INSERT INTO region VALUES (?, ?, ?, ?, ?)", (*place.split(","), label, words.tobytes())
                    )
            base.execute("UPDATE region SET x = CAST(x AS INTEGER), y = CAST(y AS INTEGER), p = CAST(p AS INTEGER)")
        base.close()
        (folder / "mapping.json").write_text(json.dumps(mapping))
        return ""

    monkeypatch.setattr(virtual_board, "run_child", run_child)
    monkeypatch.setattr(installation, "ask", lambda *_: ANSWER)
    return called, changes


def core_of(mapping, label, index=0):
    """The core of a PyNN population, and its place."""
    core = [each for each in mapping["cores"] if each["label"] == label][index]
    return core, f"{core['x']},{core['y']},{core['p']}"


def test_every_word_of_the_recording_is_ours(deployment, child):
    made = TARGET.vendor_map(deployment, RunSettings(limit_s=7))
    assert made.differences == ()
    assert made.compared == 4589
    assert made.software == "sPyNNaker 7.4.1 on a virtual board"
    facts = {what: (count, unit) for what, count, unit in made.facts}
    assert facts["application cores"] == (8, "cores")
    assert facts["chips with application cores"] == (1, "chips")
    assert facts["boards"] == (1, "boards")
    assert facts["routing entries"] == (7, "entries")
    assert facts["conv: excitatory ring shift"] == (4, "bits")
    assert facts["conv: excitatory weight scale"] == (2048, "units")
    assert facts["SDRAM of application cores before the run"][0] == sum(
        c["sdram"] for c in RECORDED["mapping"]["cores"]
    )


def test_the_child_has_a_home_of_its_own(deployment, child):
    TARGET.vendor_map(deployment, RunSettings(limit_s=7))
    ((command, limit, environment, files),) = child[0]
    assert command[1] == "map.py"
    assert int(command[2]) == 10 + deployment.network.latency()
    assert limit == 7
    assert environment["HOME"] == environment["USERPROFILE"] != os.environ.get("HOME")
    assert environment["PYTHONUSERBASE"] == "/packages"
    assert not Path(environment["HOME"]).exists()  # thrown away
    assert {"run.py", "map.py", "virtual.py", "arrays.npz"} <= files


def change_word(label, region, index, value, core=0):
    def change(mapping, regions):
        _, place = core_of(mapping, label, core)
        words = regions[place][region]
        words[index] = value(words[index]) if callable(value) else value

    return change


def plus_one(word):
    return word + 1


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (change_word("rows", "neuron_params", 0, 2), "SPI150", "steps"),
        (change_word("rows", "neuron_params", 4, plus_one), "SPI150", "i_offset of neuron 0"),
        (change_word("rows", "neuron_params", 8 + 5, plus_one), "SPI150", "v_reset of neuron 1"),
        (change_word("rows", "neuron_params", 1 + 6 * 8, 7), "SPI150", "time_step of neuron 0"),
        (change_word("conv.c1", "neuron_params", 1 + 16 * 9 + 3, 7), "SPI150", "v_thresh of neuron 3"),
        (change_word("conv.c1", "neuron_params", -1, 7), "SPI150", "time_step of neuron 15"),
        (change_word("many", "neuron_params", 3, 7, core=1), "SPI150", "cm of neuron 256"),
        (change_word("conv.c0", "Neuron Core Params", 5, 3), "SPI150", "shift_exc"),
        (change_word("pool", "Neuron Core Params", 6, 0), "SPI150", "shift_inh"),
        (
            change_word("rows", "SynBlocks", 3, lambda word: word + (1 << 16)),
            "SPI152",
            "1 synapses are missing, 1 too many",
        ),
        (change_word("rows", "SynBlocks", 3, lambda word: word ^ (1 << 4)), "SPI152", "1 synapses"),
        (change_word("rows", "SynBlocks", 1, lambda word: word - 1), "SPI152", "1 synapses are missing, 0 too many"),
        (change_word("last", "PopTable", 2, 64), "SPI152", "a source that does not exist"),
        (change_word("conv.c1", "LocalOnlyConvolution", -1, plus_one), "SPI152", "synapses are missing"),
        (change_word("conv.c0", "local_only", 2, 3), "SPI152", "synapses are missing"),
        (
            change_word("pool", "LocalOnlyPoolDense", -1, lambda word: word + (1 << 16)),
            "SPI152",
            "synapses are missing",
        ),
    ],
)
def test_another_word_is_found(deployment, child, change, code, text):
    child[1].append(change)
    differences = TARGET.vendor_map(deployment).differences
    assert code in {each.code for each in differences}
    assert any(text in each.message for each in differences), differences


def test_a_missing_region_is_found(deployment, child):
    child[1].append(lambda mapping, regions: regions[core_of(mapping, "rows")[1]].pop("neuron_params"))
    (found,) = TARGET.vendor_map(deployment).differences
    assert (found.code, found.found) == ("SPI150", 0)
    assert found.limit == 1 + 6 * 12


def test_missing_rows_are_found(deployment, child):
    child[1].append(lambda mapping, regions: regions[core_of(mapping, "rows")[1]].pop("PopTable"))
    (found,) = TARGET.vendor_map(deployment).differences
    assert found.code == "SPI152"
    assert "0 too many" in found.message


def test_nothing_to_load_is_found(deployment, child):
    child[1].append(lambda _, regions: regions.clear())
    codes = [each.code for each in TARGET.vendor_map(deployment).differences]
    assert (codes.count("SPI150"), codes.count("SPI152")) == (14, 7)


def test_rows_that_a_core_does_not_have_are_no_fault(deployment, child):
    """Where a source has no synapses on a core, its table has an address beyond all rows."""

    def change(mapping, regions):
        _, place = core_of(mapping, "many", 1)
        table = regions[place]["PopTable"]
        table[-1] = 0xFFFFFF00
        table[-2] = 0xFFFFFF00

    child[1].append(change)
    (found,) = TARGET.vendor_map(deployment).differences
    assert found.code == "SPI152"
    assert found.message.endswith(", 0 too many")


def test_a_program_that_is_not_shipped_is_found(deployment, child):
    child[1].append(lambda mapping, _: core_of(mapping, "conv.c0")[0].update(binary_exists=False))
    (found,) = TARGET.vendor_map(deployment).differences
    assert (found.code, found.found) == ("SPI155", "IF_curr_exp_conv.aplx")


def test_neurons_that_are_on_no_core_are_found(deployment, child):
    child[1].append(lambda mapping, _: core_of(mapping, "many")[0]["neurons"].pop())
    differences = TARGET.vendor_map(deployment).differences
    assert [(each.code, each.found, each.limit) for each in differences] == [("SPI151", 259, 260)]


def test_another_number_of_cores_is_found(deployment, child):
    cores = deployment.placement.cores
    fewer = replace(deployment.placement, cores=tuple(each for each in cores if each.population != "last"))
    (found,) = TARGET.vendor_map(deployment.with_(placement=fewer)).differences
    assert (found.code, found.where, found.found, found.limit) == ("SPI153", "last", 0, 1)


def test_memory_far_off_is_found(deployment, child):
    child[1].append(lambda mapping, _: core_of(mapping, "last")[0].update(sdram=10**6))
    (found,) = TARGET.vendor_map(deployment).differences
    assert (found.code, found.where, found.limit) == ("SPI154", "last", 10**6)


@pytest.mark.parametrize(
    "change",
    [
        lambda mapping, _: mapping.pop("cores"),
        lambda mapping, _: mapping["cores"][0].pop("x"),
        lambda _, regions: regions["0,0,7"].update(PopTable=np.full(1, 9, "<u4")),
        change_word("conv.c0", "LocalOnlyConvolution", 3, 200),
        change_word("pool", "LocalOnlyPoolDense", 1, 200),
    ],
)
def test_another_form_is_an_error(deployment, child, change):
    child[1].append(change)
    with pytest.raises(RunError, match="another form"):
        TARGET.vendor_map(deployment)


def test_where_spynnaker_is_missing(deployment, child, monkeypatch, tmp_path):
    monkeypatch.setattr(installation, "ask", lambda *_: {**ANSWER, "version": None})
    with pytest.raises(HardwareUnavailable, match=r"not installed for Python 3\.11\.9.*pip install"):
        TARGET.vendor_map(deployment)
    monkeypatch.setattr(installation, "ask", vendor_python.ask)
    with pytest.raises(RunError, match="there is no such Python"):
        TARGET.vendor_map(deployment, RunSettings(python=tmp_path / "nothing"))


def test_an_unknown_board_is_refused(deployment, child):
    with pytest.raises(UsageError, match=r"spin7.*spin5, spin3"):
        TARGET.vendor_map(deployment.with_(chip="spin7"))


def test_a_virtual_board_is_no_way_to_run():
    assert set(TARGET.backends()) == {"board"}
    assert "executes nothing" in TARGET.without["vendor"]


def test_a_deployment_that_says_no_steps_is_mapped_with_one(deployment, child):
    assert TARGET.vendor_map(deployment.with_(steps=0)).differences == ()
    assert int(child[0][0][0][2]) == 1 + deployment.network.latency()

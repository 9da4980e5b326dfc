"""Bundles that test themselves, on sound and on faulty runners, in every form of report."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.cli.main import run
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import DataError, HardwareUnavailable
from nmdeploy.harness.results import as_json, as_junit, as_markdown, as_text
from nmdeploy.harness.runner import choose_runner
from nmdeploy.harness.self_test import examine, self_test


def outcome(toy, on="auto", **options):
    return self_test("toy", toy, choose_runner("loihi", on), **options)


def test_a_sound_run_passes(toy, backends):
    backends(board=None)
    test = outcome(toy)
    assert (test.passed, test.verdict, test.comparison, test.error) == (True, "passed", None, None)
    assert "toy: PASSED on board: Toy board 1.0 (first found) (run by Toy board), loihi1" in as_text(test)


def test_a_difference_is_examined(toy, backends):
    backends(board="late")
    test = outcome(toy)
    assert test.verdict == "failed"
    assert test.comparison.explanations[0].cause == "one-step delay shift"
    assert "toy: FAILED on board" in as_text(test)
    assert "1. one-step delay shift" in as_text(test)
    assert outcome(toy, explains=False).comparison is None


def test_a_board_that_tells_its_outputs_only_is_examined_too(toy, backends):
    backends(board="outputs only")
    test = outcome(toy)
    assert test.comparison.explanations[0].cause == "one-step delay shift"
    assert test.comparison.place.variable == "spikes"


def test_what_does_not_repeat_itself_is_told(toy, backends):
    backends(board="moody")
    test = outcome(toy)
    assert (test.verdict, test.comparison.passed) == ("failed", True)
    assert "did not differ: what ran does not repeat itself" in as_text(test)


def test_a_run_that_fails_is_an_error_of_the_test(toy, backends):
    backends(board="broken")
    test = outcome(toy)
    assert (test.verdict, test.replay) == ("error", None)
    assert "board: the cable fell out" in test.error
    assert "the cable fell out" in as_text(test)


def test_hardware_that_is_gone_is_no_outcome(toy, backends, monkeypatch):
    backends(board=None)
    runner = choose_runner("loihi")

    def gone(*_arguments, **_options):
        raise HardwareUnavailable("somebody took it")

    monkeypatch.setattr(runner.backend, "run", gone)
    with pytest.raises(HardwareUnavailable):
        self_test("toy", toy, runner)


def test_vectors_of_another_emulator_are_examined(toy):
    wrong = {"out": np.roll(toy.vectors.spikes["out"], 1, axis=0)}
    torn = toy.with_(vectors=replace(toy.vectors, spikes=wrong))
    test = outcome(torn, "emulator")
    assert test.verdict == "failed"
    assert test.comparison.explanations[0].cause == "one-step delay shift"


def test_without_vectors_there_is_nothing_to_test(toy):
    bare = toy.with_(vectors=None)
    with pytest.raises(DataError, match="no test vectors"):
        outcome(bare, "emulator")
    with pytest.raises(DataError, match="no test vectors"):
        examine(bare, choose_runner("loihi", "emulator"))


@pytest.fixture
def outcomes(toy, backends):
    found = []
    for fault in (None, "late", "broken"):
        backends(board=fault)
        found.append(outcome(toy))
    return found


def test_json_has_every_outcome(outcomes):
    tests = json.loads(as_json(outcomes))["tests"]
    assert [test["result"] for test in tests] == ["passed", "failed", "error"]
    assert {test["on"] for test in tests} == {"board"}
    assert {test["kind"] for test in tests} == {"measured"}
    assert tests[0]["mismatches"] == 0 < tests[0]["compared"]
    assert tests[1]["difference"]["causes"][0]["cause"] == "one-step delay shift"
    assert tests[1]["difference"]["first"]["population"] == "out"
    assert tests[2]["compared"] is None
    assert "cable" in tests[2]["error"]


def test_junit_counts_failures_and_errors(outcomes):
    suite = ElementTree.fromstring(as_junit(outcomes))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    passed, failed, broken = suite.findall("testcase")
    assert passed.find("failure") is None
    assert "one-step delay shift" in failed.find("failure").text
    assert "FAILED on board" in failed.find("failure").get("message")
    assert "cable" in broken.find("error").text
    properties = {each.get("name"): each.get("value") for each in passed.iter("property")}
    assert properties["ran_on"] == "board: Toy board 1.0 (first found) (run by Toy board)"
    assert properties["profile"] == "loihi/chip"


def test_markdown_has_a_row_each_and_the_details_below(outcomes):
    lines = as_markdown(outcomes).splitlines()
    assert lines[2].startswith("| toy | passed | board: Toy board")
    assert lines[3].startswith("| toy | failed |")
    assert lines[4].startswith("| toy | error |")
    assert sum(line == "```" for line in lines) == 4


def test_the_command_writes_all_forms(bundle, backends, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backends(vendor=None)
    files = ["--json", "a.json", "--junit", "a.xml", "--markdown", "a.md"]
    assert run(["test", "toy.nmd", "toy.nmd", *files]) == 0
    assert len(json.loads((tmp_path / "a.json").read_text())["tests"]) == 2
    assert ElementTree.parse(tmp_path / "a.xml").getroot().get("tests") == "2"
    assert "| toy.nmd | passed | vendor" in (tmp_path / "a.md").read_text()
    backends(vendor="late")
    assert run(["test", "toy.nmd", "--no-explain", *files]) == 1
    captured = capsys.readouterr()
    assert "likely causes" not in captured.out
    assert "toy.nmd: test vectors are not met on vendor" in captured.err
    assert ElementTree.parse(tmp_path / "a.xml").getroot().get("failures") == "1"


def recording(toy, path, late=0, inputs=True):
    network = toy.network
    shifted = replace(
        network, projections=tuple(replace(each, delay=each.delay + late) for each in network.projections)
    )
    given = toy.vectors.inputs
    result = nm.emulate(shifted, given, steps=13, record=Recording(potentials=("out",)))
    arrays = {"out.spikes": result.spikes["out"], "out.v": result.potentials["out"]}
    np.savez(path, **arrays, **({"in.spikes": given["in"]} if inputs else {}))


def test_a_recording_is_compared(toy, bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording(toy, tmp_path / "same.npz")
    assert run(["compare", "toy.nmd", "same.npz"]) == 0
    assert "no difference" in capsys.readouterr().out
    recording(toy, tmp_path / "late.npz", late=1, inputs=False)
    assert run(["compare", "toy.nmd", "late.npz"]) == 1
    captured = capsys.readouterr()
    assert "1. one-step delay shift (all inputs a step late) explains everything" in captured.out
    assert "differs from the emulator" in captured.err


def test_a_recording_without_inputs_needs_vectors(toy, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording(toy, tmp_path / "run.npz", inputs=False)
    nm.save(toy.with_(vectors=None), tmp_path / "bare.nmd", vectors=False)
    assert run(["compare", "bare.nmd", "run.npz"]) == 2
    assert "record them too: in.spikes" in capsys.readouterr().err

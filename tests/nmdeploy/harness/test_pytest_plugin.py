"""The plugin in sessions of its own: what runs is told, nothing falls back where hardware is required."""

from xml.etree import ElementTree

# Sessions in this process forget the modules that they were first to load, and numpy's cannot be loaded twice.
import h5py  # noqa: F401
import pytest
import scipy.sparse  # noqa: F401

import nmdeploy.emulator.run
import nmdeploy.harness.results  # noqa: F401

SUITE = """
import numpy as np

def test_vectors(nm_replay):
    nm_replay("toy.nmd")

def test_a_run(nm_run):
    result = nm_run("toy.nmd", np.ones((12, 1, 9), np.uint8), steps=13)
    assert result.spikes["out"].shape == (13, 1, 4)

def test_the_chip(nm_chip):
    assert nm_chip.name == "loihi2/subtract"

def test_nothing_runs():
    pass
"""


@pytest.fixture
def suite(pytester, bundle):
    (pytester.path / "toy.nmd").write_bytes(bundle.read_bytes())
    pytester.makepyfile(SUITE)
    return pytester


def run(suite, *options):
    return suite.runpytest("-p", "no:cacheprovider", "--nm-target", "loihi2/subtract", *options)


def test_the_emulator_steps_in_and_says_so(suite, backends):
    backends(board="absent", vendor="absent")
    result = run(suite)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["*nmdeploy: what ran*", "*::test_vectors: emulator: nmdeploy's emulator, *", "*::test_a_run: emulator: *"]
    )
    assert "test_nothing_runs:" not in result.stdout.str()


def test_the_board_is_taken_where_there_is_one(suite, backends):
    backends(board=None, vendor=None)
    result = run(suite, "--nm-board", "b7", "--junitxml", "out.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "nmdeploy: deployments run on: auto, board b7",
            "*::test_vectors: board: Toy board 1.0 (b7) (run by Toy board)",
        ]
    )
    told = [each.get("value") for each in ElementTree.parse(suite.path / "out.xml").iter("property")]
    assert told == ["board: Toy board 1.0 (b7) (run by Toy board)"] * 2


def test_what_is_asked_for_runs(suite, backends):
    backends(board=None, vendor=None)
    result = run(suite, "--nm-on", "vendor")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["nmdeploy: deployments run on: vendor", "*::test_a_run: vendor: *"])


def test_required_hardware_fails_and_does_not_skip(suite, backends):
    backends(board="absent", vendor=None)
    result = run(suite, "--nm-require-hardware")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["nmdeploy: deployments run on: auto, hardware required", "*no board anywhere*"])


def test_a_difference_fails_the_test_and_names_its_cause(suite, backends):
    backends(board="late")
    result = run(suite)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["toy.nmd: FAILED on board*", "*1. one-step delay shift*"])


def test_deployments_are_taken_as_well_as_paths(suite, backends):
    backends(board=None)
    suite.makepyfile(
        """
        import nmdeploy as nm

        def test_loaded(nm_replay):
            nm_replay(nm.load("toy.nmd"))
        """
    )
    result = run(suite)
    result.assert_outcomes(passed=1)


def test_a_session_that_asks_for_nothing_is_not_talked_to(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "nmdeploy:" not in result.stdout.str()

import pytest

from nmdeploy.backend import RunSettings
from nmdeploy.errors import HardwareUnavailable, UsageError
from nmdeploy.harness.runner import choose_runner


def test_auto_takes_the_board_then_the_vendor_then_the_emulator(backends):
    backends(vendor=None, board=None)
    found = choose_runner("loihi", settings=RunSettings(board="b7"))
    assert (found.on, str(found), found.kind) == ("board", "board: Toy board 1.0 (b7)", "measured")
    assert found.passed_over == ()
    backends(vendor=None, board="absent")
    found = choose_runner("loihi")
    assert (found.on, found.kind) == ("vendor", "emulated")
    assert found.passed_over == ("board: no board anywhere",)
    backends(vendor="absent")
    found = choose_runner("loihi")
    assert (found.on, found.backend) == ("emulator", None)
    assert found.passed_over == ("board: the chip family 'loihi' has none", "vendor: no vendor anywhere")


def test_what_is_asked_for_is_taken_or_refused(backends):
    backends(vendor="absent", board=None)
    assert choose_runner("loihi", "emulator").on == "emulator"
    assert choose_runner("loihi", "board").on == "board"
    with pytest.raises(HardwareUnavailable, match="vendor: no vendor anywhere; buy one"):
        choose_runner("loihi", "vendor")
    backends(vendor=None)
    with pytest.raises(UsageError, match=r"cannot be run there \(found board, limit emulator, vendor\)"):
        choose_runner("loihi", "board")
    with pytest.raises(UsageError, match="unknown place"):
        choose_runner("loihi", "moon")


@pytest.mark.parametrize("on", ["auto", "board"])
def test_required_hardware_is_never_replaced(backends, on):
    backends(vendor=None, board="absent")
    with pytest.raises(HardwareUnavailable, match="board: no board anywhere"):
        choose_runner("loihi", on, require_hardware=True)
    backends(vendor=None)
    with pytest.raises(HardwareUnavailable, match="has none"):
        choose_runner("loihi", on, require_hardware=True)
    backends(vendor=None, board=None)
    assert choose_runner("loihi", on, require_hardware=True).on == "board"


def test_required_hardware_and_an_emulator_contradict_each_other(backends):
    for on in ("vendor", "emulator"):
        with pytest.raises(UsageError, match="hardware is required"):
            choose_runner("loihi", on, require_hardware=True)


def test_an_unknown_family_runs_on_the_emulator_only():
    assert choose_runner("no such family").on == "emulator"
    with pytest.raises(UsageError, match="cannot be run there"):
        choose_runner("no such family", "vendor")


def test_the_engine_is_told(monkeypatch):
    from nmdeploy.emulator import compiled

    monkeypatch.setattr(compiled, "sets", lambda: ())
    assert "numpy engine" in str(choose_runner("loihi", "emulator"))

"""What backends that run a script share: a request's way to a result, the script's words, refusals."""

import sys
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import Availability, RunSettings
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import HardwareUnavailable, UsageError
from nmdeploy.script_backend import Recorded, ScriptBackend, by_population, samples_done


class Recorder(ScriptBackend):
    """Answers with what the emulator records; tells in which order it is asked."""

    name = "vendor"

    def __init__(self, settings, refusal=None):
        super().__init__(settings)
        self.refusal, self.asked = refusal, []

    def availability(self):
        return Availability(True, "a recorder")

    def check(self, deployment, selected):
        self.asked.append("check")
        if self.refusal is not None:
            raise self.refusal

    def execute(self, deployment, stimulus, selected, progress):
        self.asked.append("execute")
        record = Recording(spikes=(ALL,))
        ran = nm.emulate(deployment.network, stimulus.spikes, steps=stimulus.steps, record=record)
        arrays = {f"{name}.spikes": values for name, values in ran.spikes.items()}
        finals = {f"{name}.final_v": values for name, values in ran.final_potentials.items()}
        return Recorded(arrays | finals, "run by a recorder", ("it was warm",))


def test_a_request_becomes_the_emulators_result(deployment, rng):
    backend = Recorder(RunSettings())
    spikes = (rng.random((5, 2, 1, 6, 6)) < 0.4).astype(np.uint8)
    ran, emulated = backend.run(deployment, spikes, steps=4), nm.emulate(deployment, spikes, steps=4)
    np.testing.assert_array_equal(ran.spikes["out"], emulated.spikes["out"])
    np.testing.assert_array_equal(ran.final_potentials["out"], emulated.final_potentials["out"])
    assert (ran.steps, ran.origin, ran.remarks) == (emulated.steps, "run by a recorder", ("it was warm",))
    assert backend.asked == ["check", "execute"]


def test_what_is_refused_does_not_run(deployment):
    spikes = np.zeros((5, 2, 1, 6, 6), np.uint8)
    backend = Recorder(RunSettings(), UsageError("not here"))
    with pytest.raises(UsageError, match="not here"):
        backend.run(deployment, spikes)
    with pytest.raises(UsageError, match="no population to record"):
        backend.run(deployment, spikes, record=Recording(spikes=("nothing",)))
    assert backend.asked == ["check"]


def test_the_interpreter_is_this_one_or_the_one_named():
    assert Recorder(RunSettings()).python == Path(sys.executable)
    assert Recorder(RunSettings(python=Path("other"))).python == Path("other")


def test_what_is_not_there_is_refused_with_the_hint():
    Availability(True, "a board").require("board")
    with pytest.raises(HardwareUnavailable, match=r"^board: no board anywhere; buy one$"):
        Availability(False, "no board anywhere", "buy one").require("board")


def test_the_drivers_words():
    assert samples_done("sample 3 of 10") == (3, 10)
    for line in ("sample 3 of", "a sample 3 of 10", "sample 3 of 10, done", "sample x of y"):
        assert samples_done(line) is None


def test_recordings_are_named_by_population():
    arrays = {"in_put.spikes": np.zeros(1), "b.final_v": np.ones(2)}
    found = by_population(arrays, {"in put": "in_put", "b": "b", "unrecorded": "c"})
    assert found.keys() == {"in put.spikes", "b.final_v"}
    assert found["b.final_v"] is arrays["b.final_v"]

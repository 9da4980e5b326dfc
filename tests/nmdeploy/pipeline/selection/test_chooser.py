"""What is raised when every candidate is refused."""

import pytest

from nmdeploy.errors import FitError, UsageError
from nmdeploy.pipeline import Recipe
from nmdeploy.pipeline.selection import select
from nmdeploy.pipeline.selection.candidates import candidates
from nmdeploy.registry import chip
from nmdeploy.target import Violation

ASKED = Recipe(method="auto", steps=64)
SMALL, NARROW = Violation("TOY001", "hidden", "too large"), Violation("TOY002", "out", "too wide")


@pytest.fixture
def refusing(monkeypatch, graph, decided):
    """Run `select` where candidates fail with the errors given, in turn."""

    def run(*errors):
        turn = iter(errors * len(candidates(ASKED, graph)))
        monkeypatch.setattr("nmdeploy.pipeline.selection.chooser.attempt", lambda each, *_: (each, next(turn)))
        return select(graph, decided.x, chip("loihi1"), ASKED)

    return run


def test_where_nothing_fits_every_violation_is_told_once(refusing):
    with pytest.raises(FitError) as caught:
        refusing(FitError("Loihi 1", [SMALL]), FitError("Loihi 1", [SMALL, NARROW]))
    assert caught.value.violations == (SMALL, NARROW)
    assert caught.value.exit_code == 3


def test_a_reason_that_all_share_is_raised_as_it_is(refusing):
    reason = UsageError("no such thing")
    with pytest.raises(UsageError) as caught:
        refusing(reason)
    assert caught.value is reason


def test_different_reasons_are_told_with_their_candidates(refusing, graph):
    with pytest.raises(UsageError) as caught:
        refusing(FitError("Loihi 1", [SMALL]), UsageError("no such thing"))
    lines = str(caught.value).splitlines()
    assert lines[0] == "loihi1/chip: every recipe is refused:"
    for candidate in candidates(ASKED, graph):
        assert any(line.startswith(f"  {candidate.title}: ") for line in lines)


def test_where_phases_take_more_than_their_levels_input_steps_make_room(decided, graph):
    """On Speck a phase takes nearly twice its levels in steps."""
    budget = 32
    found = select(graph, decided.x, chip("speck2f"), Recipe(method="auto", steps=budget)).selection
    exact = [trial for trial in found.trials if trial.method == "exact" and not trial.refused]
    assert {trial.settings.partition(",")[0] for trial in exact} == {"4 levels", "8 levels", "16 levels"}
    assert max(trial.steps for trial in exact) == budget
    assert all(trial.steps <= budget for trial in found.trials if not trial.refused)

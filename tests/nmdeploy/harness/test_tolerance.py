"""Classes of exactness decide what is near enough; each says by what it judged."""

import json
from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.harness.results import as_json, as_text
from nmdeploy.harness.runner import choose_runner
from nmdeploy.harness.self_test import self_test
from nmdeploy.harness.tolerance import ALPHA, POWER, exactness_of, judge, within_band, without_shift
from nmdeploy.registry import targets
from nmdeploy.target import Exactness, Grade


def graded(monkeypatch, grade, orders=None):
    family = type(targets()["loihi"])
    monkeypatch.setattr(family, "exactness", lambda _self, _deployment: Exactness(grade, ("a reason",)))
    monkeypatch.setattr(family, "orders", lambda _self, network: {} if orders is None else orders(network))


def later(network):
    """The same with everything a step later: other spikes, and now and then another count."""
    projections = tuple(replace(each, delay=each.delay + 1) for each in network.projections)
    return replace(network, projections=projections)


def outcome(toy):
    return self_test("toy", toy, choose_runner("loihi", "board"))


def test_class_a_must_be_equal(toy, backends):
    backends(board="late")
    test = outcome(toy)
    assert (test.passed, test.judgement.passed, test.judgement.grade) == (False, False, Grade.EXACT)
    assert "judged as class A: every spike must be equal" in as_text(test)


def test_class_b_passes_within_the_band_of_its_orders(toy, backends, monkeypatch):
    backends(board="late")
    graded(monkeypatch, Grade.UP_TO_ORDER, lambda network: {"as is": network, "later": later(network)})
    test = outcome(toy)
    assert (test.verdict, test.replay.passed, test.comparison) == ("passed", False, None)
    assert "8 of 8 spike counts lie within the band of 2 candidate orders" in as_text(test)
    told = json.loads(as_json([test]))["tests"][0]
    assert told["judgement"] == {
        "class": "B",
        "passed": True,
        "reasons": ["a reason"],
        "words": test.judgement.words,
    }


def test_class_b_fails_outside_of_the_band(toy, backends, monkeypatch):
    backends(board="late")
    graded(monkeypatch, Grade.UP_TO_ORDER)
    counts = {"out": np.full((2, 4), 99)}
    judged = judge(toy, toy.vectors.inputs, counts)
    assert not judged.passed
    assert judged.words.startswith("0 of 8 spike counts lie within the band of 1 candidate orders (at most 0 ")


def test_class_c_is_tested_for_a_shift(toy, backends, monkeypatch):
    backends(board="late")
    graded(monkeypatch, Grade.NOT_REPRODUCIBLE)
    test = outcome(toy)
    assert test.passed
    assert "level 1%" in test.judgement.words
    assert "would have been found with probability 80%" in test.judgement.words
    doubled = {"out": 20 * nm.emulate(toy, toy.vectors.inputs).counts["out"]}
    assert not judge(toy, toy.vectors.inputs, doubled).passed


def test_a_vendors_software_has_no_tolerance(toy, backends, monkeypatch):
    backends(vendor="late")
    graded(monkeypatch, Grade.NOT_REPRODUCIBLE)
    test = self_test("toy", toy, choose_runner("loihi", "vendor"))
    assert (test.verdict, test.judgement) == ("failed", None)


def test_a_family_that_is_not_installed_is_exact(toy):
    assert exactness_of(toy.with_(target="nobody")).grade is Grade.EXACT


def test_the_band_holds_its_ends(rng):
    low, high = rng.integers(0, 5, (3, 4)), rng.integers(5, 9, (3, 4))
    runs = [{"out": low}, {"out": high}]
    assert within_band(runs, {"out": low})[0]
    assert within_band(runs, {"out": high})[0]
    for wrong in (low.copy(), high.copy()):
        wrong[1, 2] += -1 if wrong[1, 2] == low[1, 2] else 1
        passed, words = within_band(runs, {"out": wrong})
        assert not passed
        assert words.startswith("11 of 12")


def test_silence_is_no_shift():
    assert without_shift({"out": np.zeros((2, 3), int)}, {"out": np.zeros((2, 3), int)})[0]
    assert not without_shift({"out": np.zeros((1, 1), int)}, {"out": np.full((1, 1), 50)})[0]


@pytest.mark.parametrize("mean", [20, 400])
def test_level_and_power_are_as_stated(rng, mean):
    """Of Poisson counts, at most the stated share is rejected; of shifted ones, at least the stated share is."""
    trials = 2000
    sound = rejected = 0
    emulated = {"out": np.full(10, mean)}
    total = 10 * mean
    shift = (2.5758 + 0.8416) * np.sqrt(2 * total)
    for _ in range(trials):
        noise = rng.poisson(mean, 10)
        sound += without_shift({"out": rng.poisson(mean, 10)}, {"out": noise})[0]
        rejected += not without_shift(emulated, {"out": rng.poisson((total + shift) / 10, 10)})[0]
    assert 1 - sound / trials < ALPHA + 0.01
    assert rejected / trials > POWER - 0.05

import numpy as np
import pytest

from nmdeploy.bench import stimuli as module
from nmdeploy.bench.stimuli import stimuli
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF


def with_input(deployment, **options):
    """The deployment with a network of one input of such a range, without vectors and figures."""
    populations = (Population("in", (50,), **options), Population("out", (50,), IF(1)))
    return deployment.with_(
        network=Network("graded", populations, (Projection("in", "out"),)), vectors=None, figures={}
    )


class TestVectors:
    def test_they_are_repeated_with_what_is_expected(self, deployment):
        given = stimuli(deployment, 12)
        assert given.images == 12
        assert "5 test vectors, repeated" in given.about
        for sample in range(12):
            np.testing.assert_array_equal(given.spikes["in"][:, sample], deployment.vectors.inputs["in"][:, sample % 5])
            np.testing.assert_array_equal(
                given.expected["out"][:, sample], deployment.vectors.spikes["out"][:, sample % 5]
            )
        assert given.steps == len(deployment.vectors.spikes["out"])

    def test_fewer_are_held_where_memory_is_short(self, deployment, monkeypatch):
        monkeypatch.setattr(module, "LARGEST_STIMULUS", 3 * 8 * 36)
        assert stimuli(deployment, 100).images == 3

    def test_the_first_of_them(self, deployment):
        given = stimuli(deployment, 7)
        some = given.first(2)
        assert some.images == some.expected["out"].shape[1] == 2
        short = given.first(2, 3)
        assert short.spikes["in"].shape[0] == 3
        assert short.expected is None


class TestRandom:
    def test_the_rate_asked_for(self, deployment):
        given = stimuli(deployment, 200, rate=0.25, steps=30, seed=3)
        assert given.spikes["in"].shape == (30, 200, 1, 6, 6)
        assert given.spikes["in"].mean() == pytest.approx(0.25, abs=0.01)
        assert given.expected is None
        assert "25.00%" in given.about
        assert "as asked" in given.about
        again = stimuli(deployment, 200, rate=0.25, steps=30, seed=3)
        np.testing.assert_array_equal(given.spikes["in"], again.spikes["in"])
        other = stimuli(deployment, 200, rate=0.25, steps=30, seed=4)
        assert np.any(given.spikes["in"] != other.spikes["in"])

    def test_the_measured_rate_where_there_are_no_vectors(self, deployment):
        bare = deployment.with_(vectors=None)
        given = stimuli(bare, 300)
        measured = deployment.vectors.inputs["in"].mean()
        assert "measured rate" in given.about
        assert len(given.spikes["in"]) == deployment.steps
        assert given.spikes["in"].mean() == pytest.approx(measured, rel=0.05)

    def test_only_the_steps_asked_for(self, deployment):
        assert len(stimuli(deployment, 2, steps=3).spikes["in"]) == 3

    @pytest.mark.parametrize(("low", "high"), [(0, 3), (-2, 2), (0, 300), (1, 4)])
    def test_graded_values_fill_their_range(self, deployment, low, high):
        given = stimuli(with_input(deployment, minimum=low, maximum=high), 40, rate=0.5, steps=20)
        values = given.spikes["in"]
        assert (values != 0).mean() == pytest.approx(0.5, abs=0.02)
        assert values.max() >= 0.9 * high
        assert values.min() <= min(low, 0)

    def test_an_input_without_spikes(self, deployment):
        given = stimuli(with_input(deployment, minimum=0, maximum=0), 2, rate=0.5, steps=2)
        assert not given.spikes["in"].any()

    @pytest.mark.parametrize(("high", "total", "share"), [(3, 2400, 0.3), (1, 10**9, 1.0), (0, 0, 0.0)])
    def test_a_measured_mean_becomes_a_share(self, deployment, high, total, share):
        bare = with_input(deployment, maximum=high)
        activity = {"origin": "x", "kind": "emulated", "steps": 8, "samples": 10, "projections": []}
        activity["populations"] = [["in", 50, total, None], ["out", 50, 0, None]]
        given = stimuli(bare.with_(figures={"activity": activity}, steps=8), 3)
        assert f"{share:.2%}" in given.about

    def test_nothing_tells_the_rate(self, deployment):
        with pytest.raises(UsageError, match="--rate"):
            stimuli(deployment.with_(vectors=None, figures={}), 2)

    def test_nothing_tells_the_steps(self, deployment):
        with pytest.raises(UsageError, match="--steps"):
            stimuli(deployment.with_(vectors=None, steps=0), 2)

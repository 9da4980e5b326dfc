"""Runs that end early: each sample is what a run of so many steps would be, then silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.coding import FirstSpike
from nmdeploy.emulator import compiled
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.until import Until
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense

EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))
ENGINES = ("numpy", "compiled") if compiled.sets() else ("numpy",)


def check_sample(found, expected, sample):
    """`found` has in `sample` what the run `expected` of it alone has, and nothing later."""
    own, ended = slice(sample, sample + 1), expected.steps
    for field in ("spikes", "potentials"):
        for name, values in getattr(expected, field).items():
            recorded = getattr(found, field)[name]
            np.testing.assert_array_equal(recorded[:ended, own], values, err_msg=name)
            assert not recorded[ended:, own].any()
    for field in ("counts", "final_potentials", "total_spikes", "synaptic_operations"):
        for name, values in getattr(expected, field).items():
            np.testing.assert_array_equal(getattr(found, field)[name][own], values, err_msg=f"{field} of {name}")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_sample_is_a_run_of_its_own_length(random_cases, engine):
    early = []

    @settings(max_examples=20)
    @given(case=random_cases(), every=st.integers(1, 4), spikes=st.integers(1, 2), threads=st.integers(1, 2))
    def check(case, every, spikes, threads):
        deciding = next(p.name for p in reversed(case.network.populations) if p.spike_range[1] > 0)
        until = Until(deciding, spikes, every)
        options = {"steps": case.steps, "record": EVERYTHING}
        found = emulate(case.network, case.inputs, engine=engine, until=until, threads=threads, **options)
        for sample in range(found.samples):
            alone = {name: values[:, sample : sample + 1] for name, values in case.inputs.items()}
            ended = int(found.ended[sample])
            assert ended == found.steps or ended % every == 0
            check_sample(found, emulate_reference(case.network, alone, steps=ended, record=EVERYTHING), sample)
            whole = emulate_reference(case.network, alone, steps=case.steps, record=EVERYTHING)
            reached = np.cumsum(whole.spikes[deciding].astype(int), axis=0).reshape(whole.steps, -1).max(axis=1)
            looks = [step for step in range(every, whole.steps + 1, every) if reached[step - 1] >= spikes]
            assert ended == min([*looks, whole.steps])
            early.append(ended < found.steps)

    check()
    assert any(early)


def race():
    neurons = IF(10, v_init=np.array([0, 5, 2]))
    populations = (Population("in", (3,)), Population("out", (3,), neurons), Population("sum", (1,), Integrator()))
    weights = np.array([[4, 1, 0], [1, 2, 1], [0, 1, 3]])
    projections = (Projection("in", "out", (Dense(weights),)), Projection("out", "sum", (Dense(np.ones((1, 3), int)),)))
    return Network("race", populations, projections, outputs=("out",))


@pytest.mark.parametrize("engine", ENGINES)
def test_first_spikes_decide_as_in_the_whole_run(engine, rng):
    network = race()
    spikes = (rng.random((40, 30, 3)) < 0.15).astype(np.uint8)
    whole, early = emulate(network, spikes, engine=engine), emulate(network, spikes, engine=engine, until=Until("out"))
    slow, fast = (FirstSpike().decide(result, network["out"]) for result in (whole, early))
    np.testing.assert_array_equal(fast.labels, slow.labels)
    np.testing.assert_array_equal(fast.tied, slow.tied)
    np.testing.assert_array_equal(fast.decided_at, slow.decided_at)
    assert (early.ended < 40).mean() > 0.5
    assert whole.ended is None


@pytest.mark.parametrize(
    ("until", "message"),
    [(Until("nowhere"), "found nowhere"), (Until("sum"), "found sum"), (Until("out"), "the reference runs all steps")],
)
def test_what_cannot_decide_is_refused(until, message):
    engine = "reference" if until.population == "out" else "fast"
    with pytest.raises(UsageError, match=message):
        emulate(race(), np.zeros((2, 1, 3), np.uint8), until=until, engine=engine)


@pytest.mark.parametrize("options", [{"spikes": 0}, {"every": 0}])
def test_less_than_one_spike_or_step_is_refused(options):
    with pytest.raises(UsageError, match="at least 1"):
        Until("out", **options)

"""The compiled event engine against the definition: every spike, every potential, every event in its place."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_equal_results, outcome

from nmdeploy.emulator import compiled, event_kernel, event_run
from nmdeploy.emulator.events import emulate_events
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from quantize import Overflow

EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))
SETS = compiled.sets()
KERNELS = st.sampled_from(SETS) if SETS else st.nothing()

pytestmark = pytest.mark.skipif(not SETS, reason="the kernels were not compiled")


def ran(case, **options):
    """The run, or the overflow as words."""
    return outcome(emulate, case.network, case.inputs, steps=case.steps, record=EVERYTHING, **options)


def test_every_kernel_equals_the_reference_on_random_networks(random_event_cases):
    seen = {"spiking": [], "refused": []}

    @settings(max_examples=100)
    @given(
        case=random_event_cases(overflows=tuple(Overflow)),
        kernels=KERNELS,
        batch=st.integers(1, 4),
        block=st.integers(1, 5),
    )
    def check(case, kernels, batch, block):
        expected = ran(case, engine="reference")
        with patch.object(compiled, "sets", lambda: (kernels,)), patch.object(event_run, "BLOCK", block):
            found = ran(case, engine="compiled", batch=batch)
        seen["refused"].append(isinstance(expected, str))
        if isinstance(expected, str):
            assert found == expected
            return
        assert_equal_results(found, expected)
        neurons = [p.name for p in case.network.populations if not p.is_input]
        seen["spiking"].append(any(expected.total_spikes[name].any() for name in neurons))

    check()
    assert np.mean(seen["spiking"]) > 0.2  # silent networks would prove little
    assert np.mean(seen["refused"]) < 0.6


def stream_of(rng, network, count):
    """Random events of the network's input, with times that never fall."""
    shape = network.inputs[0].shape
    channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    events = np.zeros(count, [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u1")])
    for field, size in (("x", width), ("y", height), ("p", channels)):
        events[field] = rng.integers(0, size, count)
    events["t"] = np.sort(rng.integers(0, 40, count))
    return events


def test_every_event_of_a_stream_comes_out_in_the_same_place(random_event_cases):
    sent = []

    @settings(max_examples=40)
    @given(
        case=random_event_cases(inputs=(1,)),
        kernels=KERNELS,
        count=st.integers(0, 60),
        tick=st.sampled_from((1, 7, 100)),
    )
    def check(case, kernels, count, tick):
        events = stream_of(np.random.Generator(np.random.PCG64(count)), case.network, count)
        options = {"tick": tick, "record": ("*",)}
        expected = emulate_events(case.network, events, **options, engine="reference")
        with patch.object(compiled, "sets", lambda: (kernels,)):
            found = emulate_events(case.network, events, **options, engine="compiled")
        assert list(found.events) == list(expected.events)
        for name in expected.events:
            np.testing.assert_array_equal(found.events[name], expected.events[name], strict=True)
            np.testing.assert_array_equal(found.potentials[name], expected.potentials[name], strict=True)
            sent.append(len(expected.events[name]) > 1)

    check()
    assert np.mean(sent) > 0.1


def test_threads_change_nothing(random_event_cases):
    @settings(max_examples=10)
    @given(case=random_event_cases(), threads=st.integers(2, 3))
    def check(case, threads):
        assert_equal_results(ran(case, threads=threads, batch=1), ran(case))

    check()


def test_no_memory_is_no_crash(random_event_cases):
    @settings(max_examples=1)
    @given(case=random_event_cases())
    def check(case):
        with patch.object(event_kernel.compiled, "events", lambda *_: compiled.NO_MEMORY), pytest.raises(MemoryError):
            emulate(case.network, case.inputs)

    check()


def test_an_overflow_that_the_reference_does_not_have_is_a_defect(random_event_cases):
    @settings(max_examples=1)
    @given(case=random_event_cases())
    def check(case):
        broken = patch.object(event_kernel.compiled, "events", lambda *_: compiled.OVERFLOW)
        with broken, pytest.raises(AssertionError, match="the reference does not have"):
            emulate(case.network, case.inputs)

    check()

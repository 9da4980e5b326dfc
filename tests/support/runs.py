"""Runs held against each other, for the tests of every engine."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import EmulationOverflow

EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))
FIELDS = ("spikes", "potentials", "counts", "final_potentials", "total_spikes", "synaptic_operations")


def assert_equal_results(found, expected):
    """Two results with the same numbers, in everything that was recorded."""
    for field in FIELDS:
        left, right = getattr(found, field), getattr(expected, field)
        assert list(left) == list(right), field
        for name in right:
            np.testing.assert_array_equal(left[name], right[name], err_msg=f"{field} of {name}", strict=True)
    assert (found.steps, found.samples) == (expected.steps, expected.samples)


def assert_equals_reference(network, spikes):
    """The compiled engine gives what the reference gives."""
    found = emulate(network, spikes, record=EVERYTHING, engine="compiled")
    assert_equal_results(found, emulate_reference(network, spikes, record=EVERYTHING))


def outcome(emulation, /, *arguments, **options):
    """A run's result, or the message of its overflow."""
    try:
        return emulation(*arguments, **options)
    except EmulationOverflow as overflow:
        return str(overflow)


def check_overflows(emulation, cases, *, examples, fewest):
    """An engine stops where the reference stops, with the same message, and else gives the same numbers.

    `emulation(case, block)` runs a case in blocks of so many steps. More than `fewest` cases overflow, and as many
    do not.
    """
    overflows = []

    @settings(max_examples=examples)
    @given(case=cases, block=st.integers(1, 6))
    def check(case, block):
        expected = outcome(emulate_reference, case.network, case.inputs, steps=case.steps, record=EVERYTHING)
        found = outcome(emulation, case, block)
        overflows.append(isinstance(expected, str))
        if isinstance(expected, str):
            assert found == expected
        else:
            assert_equal_results(found, expected)

    check()
    assert fewest < sum(overflows) < len(overflows) - fewest


def check_block_borders(emulation, cases):
    """Any choice of recorded steps is the reference's; `emulation(case, block, record)` runs a case in blocks."""
    ends = st.one_of(st.none(), st.integers(-12, 12))
    slices = st.builds(slice, ends, ends, st.one_of(st.none(), st.integers(1, 3)))

    @settings(max_examples=30)
    @given(case=cases, steps=slices, block=st.integers(1, 4))
    def check(case, steps, block):
        record = Recording(spikes=("*",), potentials=("*",), counts=("*",), steps=steps)
        expected = emulate_reference(case.network, case.inputs, steps=case.steps, record=record)
        assert_equal_results(emulation(case, block, record), expected)

    check()

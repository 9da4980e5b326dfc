"""Runs held against each other, for the tests of every engine."""

import numpy as np

from nmdeploy.errors import EmulationOverflow

FIELDS = ("spikes", "potentials", "counts", "final_potentials", "total_spikes", "synaptic_operations")


def assert_equal_results(found, expected):
    """Two results with the same numbers, in everything that was recorded."""
    for field in FIELDS:
        left, right = getattr(found, field), getattr(expected, field)
        assert list(left) == list(right), field
        for name in right:
            np.testing.assert_array_equal(left[name], right[name], err_msg=f"{field} of {name}", strict=True)
    assert (found.steps, found.samples) == (expected.steps, expected.samples)


def outcome(emulation, /, *arguments, **options):
    """A run's result, or the message of its overflow."""
    try:
        return emulation(*arguments, **options)
    except EmulationOverflow as overflow:
        return str(overflow)

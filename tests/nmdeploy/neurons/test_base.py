"""What all neuron models share: overflow with its place, parameters that broadcast."""

import numpy as np
import pytest

from nmdeploy.errors import EmulationOverflow
from nmdeploy.neurons import broadcasts, fill, held


def test_an_overflow_gets_its_place_and_keeps_its_facts():
    placed = EmulationOverflow("v overflows", index=(1, 4), found=9, limit="0..7").at("layer", 3, first_sample=10)
    assert str(placed) == "layer, step 3, sample 11, neuron (4,): v overflows (found 9, limit 0..7)"
    assert (placed.index, placed.step) == ((11, 4), 3)
    assert str(EmulationOverflow("v overflows").at("layer", 3)) == "layer, step 3: v overflows"


def test_values_without_a_format_are_held_as_they_are():
    values = np.array([2**62, -(2**62)])
    assert held(values, None, "v") is values


def test_fill_broadcasts_into_a_new_array():
    parameter = np.array([[1], [2]])
    filled = fill(parameter, (3, 2, 2), np.dtype(np.int64))
    filled[:] = 0
    assert parameter.tolist() == [[1], [2]]
    assert fill(7, (2,), np.dtype(np.float32)).tolist() == [7.0, 7.0]


@pytest.mark.parametrize(
    ("part", "whole", "fits"),
    [((), (3,), True), ((2, 1, 1), (2, 4, 4), True), ((3,), (2, 3), True), ((2,), (3,), False), ((2, 3), (3,), False)],
)
def test_a_part_broadcasts_only_to_the_shape_itself(part, whole, fits):
    assert broadcasts(part, whole) is fits

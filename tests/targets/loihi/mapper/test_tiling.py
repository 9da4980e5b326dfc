"""Boxes cover a population once, evenly, and number compartments by position."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.loihi.mapper.tiling import Box, Tiling, tilings


@given(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), st.data())
@settings(max_examples=60)
def test_boxes_cover_the_population_evenly(shape, data):
    tiling = Tiling(shape, tuple(data.draw(st.integers(1, size)) for size in shape))
    boxes = list(tiling.boxes)
    assert len(boxes) == tiling.count == math.prod(tiling.parts)
    np.testing.assert_array_equal(np.sort(np.concatenate([box.neurons for box in boxes])), np.arange(math.prod(shape)))
    assert max(box.size for box in boxes) == tiling.largest
    for index, box in enumerate(boxes):
        assert len(box.neurons) == box.size
        assert set(tiling.box_of[box.neurons]) == {index}
        for size, whole, count in zip(box.sizes, shape, tiling.parts, strict=True):
            assert size in (whole // count, -(-whole // count))


def test_compartments_are_ordered_by_row_column_and_channel():
    box = Box((3, 2, 4), ((0, 2), (1, 2), (2, 4)))
    np.testing.assert_array_equal(box.neurons, [6, 14, 7, 15])
    np.testing.assert_array_equal(Box((7,), ((2, 5),)).neurons, [2, 3, 4])


def test_tilings_of_a_number_of_boxes():
    assert [tiling.parts for tiling in tilings((4, 3, 3), 4)] == [(1, 2, 2), (2, 1, 2), (2, 2, 1), (4, 1, 1)]
    assert [tiling.parts for tiling in tilings((5,), 3)] == [(3,)]
    assert tilings((5,), 6) == []
    assert tilings((2, 2, 2), 3) == []

"""Boxes packed onto cores: nothing lost, nothing overfull, as few cores as brute force finds."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.loihi.mapper.packing import pack


def fewest(shares):
    """The least number of cores, by trying every assignment."""
    boxes = len(shares)
    for cores in range(1, boxes + 1):
        for core_of in product(range(cores), repeat=boxes):
            loads = np.zeros((cores, shares.shape[1]))
            np.add.at(loads, list(core_of), shares)
            if np.all(loads <= 1 + 1e-9):
                return cores
    raise AssertionError


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_small_packings_are_optimal(parts):
    shares = np.array(parts) / 20
    cores = pack(shares, [False] * len(parts))
    assert sorted(index for core in cores for index in core) == list(range(len(parts)))
    assert all(np.all(shares[core].sum(axis=0) <= 1 + 1e-9) for core in cores)
    assert len(cores) == fewest(shares)


def test_first_fit_alone_would_take_a_core_more():
    shares = np.array([[0.4], [0.4], [0.3], [0.3], [0.3], [0.3]])
    assert len(pack(shares, [False] * 6)) == 2


def test_boxes_that_stay_alone():
    assert pack(np.array([[0.1], [0.1], [0.1]]), [False, True, False]) == [[0, 2], [1]]
    assert pack(np.array([[0.1], [0.1]]), [True, True]) == [[0], [1]]


def test_many_boxes_are_packed_by_first_fit_in_the_order_of_their_first():
    shares = np.full((60, 2), 0.5)
    cores = pack(shares, [False] * 60)
    assert len(cores) == 30
    assert [core[0] for core in cores] == sorted(core[0] for core in cores)

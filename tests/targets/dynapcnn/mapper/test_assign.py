"""The cheapest placement and the smallest conflict, against every possibility."""

from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from targets.dynapcnn.mapper.assign import Option, cheapest
from targets.dynapcnn.mapper.conflict import smallest_conflict

CORES = 4
OPTIONS = st.builds(
    Option,
    st.tuples(st.integers(0, 1), st.integers(0, 3)),
    st.sets(st.integers(0, CORES - 1), min_size=1, max_size=2).map(lambda cores: tuple(sorted(cores))),
)


def rank(chosen):
    return np.sum([each.cost for each in chosen], axis=0).tolist(), [each.cores for each in chosen]


@given(st.lists(st.lists(OPTIONS, max_size=5), min_size=1, max_size=4))
def test_no_placement_is_cheaper(layers):
    legal = [
        chosen
        for chosen in product(*layers)
        if sum(len(each.cores) for each in chosen) == len({core for each in chosen for core in each.cores})
    ]
    found = cheapest(layers)
    if not legal:
        assert found is None
    else:
        assert rank(found) == rank(min(legal, key=rank))


@given(st.lists(st.sets(st.integers(0, 3), max_size=3).map(sorted), min_size=1, max_size=6))
def test_the_smallest_conflict_is_one_and_none_is_smaller(fitting):
    """Hall: layers can be placed unless some of them have fewer cores between them than they are."""

    def conflicts(layers):
        return len({core for layer in layers for core in fitting[layer]}) < len(layers)

    every = range(len(fitting))
    sizes = [n for n in range(1, len(fitting) + 1) if any(conflicts(chosen) for chosen in combinations(every, n))]
    found = smallest_conflict(fitting)
    if found is None:
        assert sizes == []
    else:
        layers, cores = found
        assert conflicts(layers)
        assert len(layers) == sizes[0]
        assert {core for layer in layers for core in fitting[layer]} == set(cores)

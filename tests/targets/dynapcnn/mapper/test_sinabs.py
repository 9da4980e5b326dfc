"""sinabs' own core numbers."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from targets.dynapcnn.mapper import matching_like_sinabs
from targets.dynapcnn.mapper.assign import Option, cheapest
from targets.dynapcnn.memory import RESOURCES, cores_for


def words(values):
    return dict(zip(RESOURCES, values, strict=True))


def vectors(shared_data):
    stored = json.loads((shared_data / "golden/dynapcnn/mapping_vectors.json").read_text())
    cores = [words(each) for each in stored["constraints"]]
    return cores, [([words(each) for each in case["req"]], case["map"]) for case in stored["cases"]]


def test_every_recorded_assignment(shared_data):
    cores, cases = vectors(shared_data)
    for needs, expected in cases:
        found = matching_like_sinabs(needs, cores)
        assert (None if found is None else list(found)) == expected
    assert (len(cases), sum(expected is None for _, expected in cases)) == (280, 37)


def test_the_best_placement_exists_whenever_sinabs_has_one_and_costs_no_more(shared_data):
    cores, cases = vectors(shared_data)
    costs = [(int(core < 2), sum(has.values())) for core, has in enumerate(cores)]
    for needs, expected in cases:
        options = [[Option(costs[core], (core,)) for core in cores_for(need, cores)] for need in needs]
        best = cheapest(options)
        assert (best is None) == (expected is None)
        if best is not None:
            theirs = np.sum([costs[core] for core in expected], axis=0).tolist()
            assert np.sum([option.cost for option in best], axis=0).tolist() <= theirs


SIZES = st.tuples(*[st.integers(1, 4)] * 3).map(words)


@given(st.lists(SIZES, min_size=1, max_size=6), st.lists(SIZES, min_size=1, max_size=6))
def test_a_matching_is_found_whenever_there_is_one(needs, cores):
    fitting = [cores_for(need, cores) for need in needs]
    graph = csr_matrix([[core in fits for core in range(len(cores))] for fits in fitting])
    possible = np.all(maximum_bipartite_matching(graph, perm_type="column") >= 0)
    found = matching_like_sinabs(needs, cores)
    assert (found is not None) == possible
    if found is not None:
        assert len(set(found)) == len(needs)
        assert all(core in fits for core, fits in zip(found, fitting, strict=True))


def test_an_earlier_layer_moves_to_make_room():
    cores = [words((9, 9, 9)), words((1, 1, 1))]
    assert matching_like_sinabs([words((1, 1, 1)), words((9, 1, 1))], cores) == (1, 0)

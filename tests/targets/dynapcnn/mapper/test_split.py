"""Layers on two cores."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.dynapcnn.chips import chips
from targets.dynapcnn.layer import layers
from targets.dynapcnn.mapper.split import Cores, split_sets, widest
from targets.dynapcnn.memory import LayerSize, fits

CORES = Cores.of(chips()["speck2f"])
SIDES = st.integers(1, 70)
LAYERS = st.builds(
    LayerSize,
    st.integers(1, 600),
    st.integers(1, 7).map(lambda size: (size, size)),
    st.tuples(st.integers(1, 300), SIDES, SIDES),
    st.booleans(),
)


@given(LAYERS)
@settings(max_examples=25)
def test_halves_exist_exactly_where_some_cut_fits(size):
    filters = size.output_shape[0]
    found = {option.cores for option in CORES.halved(size)}
    for pair in combinations(range(9), 2):
        cuts = [
            (here, filters - here)
            for here in range(1, filters)
            if all(
                fits(size.with_channels(part).words, CORES.memories[core])
                for part, core in zip((here, filters - here), pair, strict=True)
            )
        ]
        assert (pair in found) == bool(cuts)
        if cuts:
            parts = tuple(CORES.channels(size, pair))
            assert parts in cuts
            assert abs(parts[0] - parts[1]) == min(abs(a - b) for a, b in cuts)


def test_a_layer_on_one_core_is_whole():
    assert CORES.channels(LayerSize(1, (3, 3), (7, 4, 4)), [5]) == [7]


def test_the_cost_of_cores():
    parallel, bits = zip(*CORES.costs, strict=True)
    assert parallel == (1, 1, 0, 0, 0, 0, 0, 0, 0)
    assert [each // 8192 for each in bits] == [144, 144, 144, 96, 96, 96, 96, 48, 48]
    size = LayerSize(1, (1, 1), (1024, 8, 16))
    assert [option.cores for option in CORES.whole(size)] == []
    pair = CORES.halved(size)[0]
    assert pair.cost == tuple(a + b for a, b in zip(CORES.costs[0], CORES.costs[1], strict=True))


@pytest.mark.parametrize(("limit", "widths"), [(0, 0), (1, 1), (8, 8), (9, 8), (100, 8)])
def test_the_widest_is_found_by_halving(limit, widths):
    assert widest(LayerSize(1, (1, 1), (9, 1, 1)), lambda less: less.output_shape[0] <= limit) == widths


def test_a_source_has_a_destination_for_each_part(chain_of):
    found = layers(chain_of((1, 4, 4), (2, 1, 0, 1), (2, 1, 0, 1), (1, 1, 0, 1)))
    sizes = {layer.name: LayerSize.of(layer) for layer in found}
    assert list(split_sets(found, sizes, CORES)) == [set(), {"l0"}, {"l1"}, {"l0", "l1"}]


def test_a_layer_beside_another_is_not_cut(residual):
    found = layers(residual)
    sizes = {layer.name: LayerSize.of(layer) for layer in found}
    sets = list(split_sets(found, sizes, CORES))
    assert {"stem"} in sets
    assert not any({"left", "sum"} & split for split in sets)


def test_no_more_parts_than_cores(chain_of):
    found = layers(chain_of((1, 4, 4), *[(2, 1, 0, 1)] * 9))
    assert list(split_sets(found, {layer.name: LayerSize.of(layer) for layer in found}, CORES)) == [set()]
    found = layers(chain_of((1, 4, 4), *[(2, 1, 0, 1)] * 10))
    assert list(split_sets(found, {layer.name: LayerSize.of(layer) for layer in found}, CORES)) == []

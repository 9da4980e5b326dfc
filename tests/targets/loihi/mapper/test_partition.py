"""Cuts that go together: the integer program against trying every combination."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense, OneToOne
from targets.loihi.mapper.layer import layers
from targets.loihi.mapper.partition import NoPartition, _Search, partition
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract

SIZE = 12


@st.composite
def networks(draw):
    """a feeds b and c, both feed d; some connections are sparse, b may feed itself."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def joined(source, target):
        weight = rng.integers(1, 4, (SIZE, SIZE)) * (rng.random((SIZE, SIZE)) < draw(st.sampled_from([0.1, 0.4, 1])))
        return Projection(source, target, (Dense(weight),), delay=1)

    pairs = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), *([("b", "b")] if draw(st.booleans()) else [])]
    neurons = LoihiLIFSubtract(9, subtrahend=10) if draw(st.booleans()) else LoihiLIF(9)
    populations = [Population(name, (SIZE,), neurons) for name in "abcd"]
    entry = Projection("in", "a", (OneToOne(np.array([2])),), delay=1)
    net = Network("net", (Population("in", (SIZE,)), *populations), (entry, *(joined(*pair) for pair in pairs)), ("d",))
    return net, {"compartments": draw(st.sampled_from([6, 12])), "output_axons": draw(st.integers(10, 60))}


def limited(chip, limits):
    return replace(chip, figures={**chip.figures, **{n: replace(chip.figures[n], value=v) for n, v in limits.items()}})


@given(networks())
@settings(max_examples=40, deadline=None)
def test_the_program_finds_the_best_combination_of_the_candidates(loihi1, case):
    net, limits = case
    found = layers(net, limited(loihi1, limits))
    search = _Search(found, 100)
    try:
        options = search.candidates()
    except NoPartition as refused:
        assert refused.excess.resource == "output_axons"  # noqa: PT017
        return
    best = None
    for combination in product(*options.values()):
        chosen = dict(zip(options, combination, strict=True))
        if all(search.allows(name, chosen) for name in chosen):
            cost = tuple(sum(each) for each in zip(*(option.cost for option in combination), strict=True))
            best = cost if best is None else min(best, cost)
    if best is None:
        with pytest.raises(NoPartition) as refused:
            partition(found, 100)
        assert refused.value.excess.found > refused.value.excess.limit
    else:
        chosen = partition(found, 100)
        assert all(search.allows(name, chosen) for name in chosen)
        assert tuple(sum(each) for each in zip(*(o.cost for o in chosen.values()), strict=True)) == best


def test_a_loop_that_sends_too_much_is_named(loihi1):
    loop = Projection("a", "a", (Dense(np.full((SIZE, SIZE), 2)),), delay=1)
    entry = Projection("in", "a", (OneToOne(np.array([2])),), delay=1)
    net = Network("net", (Population("in", (SIZE,)), Population("a", (SIZE,), LoihiLIF(9))), (entry, loop), ("a",))
    with pytest.raises(NoPartition) as refused:
        partition(layers(net, limited(loihi1, {"compartments": 6, "output_axons": 11})), 100)
    assert (refused.value.layer.name, refused.value.excess.found) == ("a", 12)

"""What is kept for a network goes with it, and is made anew for another key."""

import gc

import numpy as np

from nmdeploy.emulator.memo import Memo
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF


def network():
    return Network("one", (Population("in", (2,)), Population("out", (2,), IF(2))), (Projection("in", "out"),))


def test_the_last_thing_made_is_kept_for_its_network_and_key():
    memo, calls = Memo(), []

    def make():
        calls.append(len(calls))
        return calls[-1]

    first, equal = network(), network()
    assert [memo.get(first, key, make) for key in (1, 1, 2, 2, 1)] == [0, 0, 1, 1, 2]
    assert memo.get(equal, 1, make) == 3
    assert memo.get(first, 1, make) == 2


def test_nothing_outlives_its_network():
    memo = Memo()
    kept = network()
    memo.get(kept, 1, lambda: np.zeros(3))
    assert len(memo._made) == 1
    memo._forget(id(kept))
    assert len(memo._made) == 1
    memo._forget(0)
    del kept
    gc.collect()
    assert not memo._made

"""Sweeps: every neuron is reached once, by the fewest events that rectangles of taps can do it with."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmdeploy.convert.exact.sweep import Geometry, Sweep
from nmdeploy.errors import UsageError
from nmdeploy.synapses import Conv2d


def geometry(read, kernel, stride=(1, 1), padding=(0, 0), features=3):
    sides = (padding[0], padding[0], padding[1], padding[1])
    conv = Conv2d(np.ones((features, 1, *kernel), dtype=np.int8), stride=stride, padding=sides)
    return Geometry(read, conv.out_shape((1, *read)), kernel, stride, sides)


pairs = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(
    read=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=pairs,
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    weight=st.integers(1, 127),
)
def test_every_neuron_is_reached_once(read, kernel, stride, padding, weight):
    assume(all(size + 2 * pad >= taps > 2 * pad for size, pad, taps in zip(read, padding, kernel, strict=True)))
    whole = geometry(read, kernel, stride, padding)
    sweep = Sweep.of(whole)
    assert set(np.unique(sweep.pixels)) <= {0, 1}
    conv = sweep.synapses(weight)
    assert conv.weight.dtype == np.int8
    np.testing.assert_array_equal(conv.apply(sweep.pixels[None].astype(np.int64)), np.full((1, *whole.made), weight))
    assert sweep.events == sweep.pixels.sum()


def fewest(size, taps, stride, padding):
    """By trying all runs of taps and all sets of positions."""
    made = (size + 2 * padding - taps) // stride + 1
    for count in range(1, size + 1):
        for first, last in combinations(range(taps + 1), 2):
            for positions in combinations(range(size), count):
                reached = sum(
                    np.array([first <= place + padding - stride * neuron < last for neuron in range(made)], dtype=int)
                    for place in positions
                )
                if np.all(reached == 1):
                    return count
    return None


@settings(max_examples=40)
@given(size=st.integers(1, 7), taps=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 2))
def test_no_fewer_events_would_do(size, taps, stride, padding):
    assume(size + 2 * padding >= taps)
    wanted = fewest(size, taps, stride, padding)
    if wanted is None:
        with pytest.raises(UsageError, match="less padding than the kernel is large"):
            Sweep.of(geometry((size, 1), (taps, 1), (stride, 1), (padding, 0)))
    else:
        assert Sweep.of(geometry((size, 1), (taps, 1), (stride, 1), (padding, 0))).events == wanted


@pytest.mark.parametrize(
    ("read", "kernel", "padding", "events"),
    [
        ((28, 28), (3, 3), (1, 1), 100),
        ((28, 28), (5, 5), (0, 0), 25),
        ((4, 4), (4, 4), (0, 0), 1),
        ((1, 1), (1, 1), (0, 0), 1),
    ],
)
def test_blocks_of_a_kernel_tile_the_map(read, kernel, padding, events):
    assert Sweep.of(geometry(read, kernel, padding=padding)).events == events


def test_neurons_that_see_padding_alone_are_refused():
    with pytest.raises(UsageError, match="no event reaches all neurons"):
        Sweep.of(geometry((3, 3), (2, 2), padding=(2, 2)))


def test_axes_are_not_mixed_up():
    sweep = Sweep.of(geometry((3, 12), (1, 4)))
    rows, columns = np.nonzero(sweep.pixels[0])
    assert list(product(*map(sorted, (set(rows), set(columns))))) == list(zip(rows, columns, strict=True))
    assert sweep.taps.shape == (1, 4)
    assert len(set(rows)) == 3

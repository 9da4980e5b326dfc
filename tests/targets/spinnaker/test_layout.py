from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense
from targets.spinnaker.layout import delay_slots, index_bits, layout
from targets.spinnaker.lower import lower
from targets.spinnaker.neuron import IFCurrExp, IFTruncDelta


def line(size, neuron, delay=1):
    populations = (Population("in", (1,)), Population("out", (size,), neuron))
    return Network("line", populations, (Projection("in", "out", (Dense(np.ones((size, 1), int)),), delay=delay),))


def image(height, width, neuron, target):
    populations = (
        Population("in", (1, height, width)),
        Population("middle", (2, height, width), neuron),
        Population("out", (1, height, width), target),
    )
    one = np.ones((2, 1, 1, 1), int)
    projections = (
        Projection("in", "middle", (Conv2d(one),), delay=1),
        Projection("middle", "out", (Conv2d(one.reshape(1, 2, 1, 1)),), delay=1),
    )
    return Network("image", populations, projections)


@given(st.integers(1, 900), st.sampled_from([IFTruncDelta(), IFCurrExp()]), st.integers(1, 300))
def test_lines_are_cut_as_spynnaker_cuts_them(size, neuron, delay):
    (part,) = layout(line(size, neuron, delay), "out")
    assert part.padding == (size % 2 if isinstance(neuron, IFTruncDelta) else 0)
    assert part.size == size + part.padding
    slices = part.slices()
    assert len(slices) == part.cores
    np.testing.assert_array_equal(np.concatenate(slices), np.arange(size))
    assert all(len(each) == part.atoms_per_core for each in slices[:-1])
    assert part.atoms_per_core <= 256
    assert delay_slots(part.atoms_per_core) >= delay
    if isinstance(neuron, IFTruncDelta):
        assert part.atoms_per_core % 2 == part.size % 2 == 0


def test_long_delays_take_small_cores():
    assert [layout(line(600, IFTruncDelta(), delay), "out")[0].max_atoms for delay in (32, 33, 65, 144)] == [
        256,
        128,
        64,
        32,
    ]


@given(st.integers(1, 40), st.integers(1, 40))
def test_images_are_cut_into_tiles_that_divide_them(height, width):
    network = image(height, width, IFCurrExp(), IFCurrExp())
    parts = layout(network, "middle")
    assert [part.label for part in parts] == ["middle.c0", "middle.c1"]
    held = np.concatenate([each for part in parts for each in part.slices()])
    np.testing.assert_array_equal(np.sort(held), np.arange(2 * height * width))
    across, down = parts[0].max_atoms
    assert width % across == height % down == 0
    assert across * down <= 256
    for tile in parts[1].slices():
        rows, columns = np.unique(tile // width), np.unique(tile % width)
        np.testing.assert_array_equal(tile, (rows[:, None] * width + columns).ravel())
    assert parts[0].cores == len(parts[0].slices())


def test_tiles_of_trunc_delta_are_even_where_they_can_be():
    def tile(height, width, neuron):
        return layout(image(height, width, neuron, IFCurrExp()), "middle")[0].max_atoms

    assert np.prod(tile(5, 50, IFCurrExp())) == 250
    assert np.prod(tile(9, 27, IFCurrExp())) == 243
    assert np.prod(tile(9, 30, IFCurrExp())) == 135
    assert np.prod(tile(9, 30, IFTruncDelta())) == 90
    assert np.prod(tile(27, 27, IFTruncDelta())) % 2 == 1


def test_sources_of_shared_kernels_are_images_too(spin5, ideal_images):
    lowered = lower(ideal_images, spin5, "conv").network
    assert [part.grid for part in layout(lowered, "in")] == [(8, 12)] * 2
    assert [part.grid for part in layout(lowered, "flat")] == [None]
    rows = lower(ideal_images, spin5).network
    assert [part.grid for part in layout(rows, "in")] == [None]


@pytest.mark.parametrize(("values", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)])
def test_bits_that_number_values(values, bits):
    assert index_bits(values) == bits


def test_populations_in_the_chips_terms_need_not_be_lowered(ideal_dense):
    network = ideal_dense([3, 5, 2])
    neurons = [replace(each, neuron=IFTruncDelta()) if each.neuron else each for each in network.populations]
    (part,) = layout(replace(network, populations=tuple(neurons)), "l0")
    assert (part.size, part.padding, part.max_atoms) == (6, 1, 6)

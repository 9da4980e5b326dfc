"""Words of synapse lists, counted by hand."""

import numpy as np
import pytest

from nmdeploy.network import Population
from targets.loihi.mapper.resources import ListCoding, block_words, compartments_of, index_bits
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract


def test_blocks_of_60_synapses_fill_whole_words():
    # 60 synapses of 14 bits and 10 header bits: 850 bits, 14 words; one more synapse: another word.
    np.testing.assert_array_equal(block_words(np.array([1, 3, 4, 60, 61, 120]), 14, 10, 60), [1, 1, 2, 14, 15, 28])
    # 54 bits of synapses fill a word with the header, 55 do not.
    np.testing.assert_array_equal(block_words(np.array([0, 6, 54, 55]), 1, 10, 60), [0, 1, 1, 2])


def test_indices_have_no_bits_or_at_least_six():
    assert [index_bits(n) for n in (1, 2, 64, 65, 1024)] == [0, 6, 6, 7, 10]


@pytest.mark.parametrize(
    ("neurons", "delayed", "sparse", "dense"),
    [
        (8, False, 2, 2),  # 8 * (8 + 6) + 10 = 122 bits; 8 * 8 + 10 + 6 = 80 bits
        (40, False, 9, 6),  # 570 bits; 336 bits
        (40, True, 13, 9),  # 810 bits; 576 bits: exactly 9 words
        (1, False, 1, 1),  # no index at all: 18 bits
        (128, False, 33, 18),  # 7-bit index: 910, 910 and 130 bits; 497, 497 and 81 bits
    ],
)
def test_lists_of_all_neurons_of_a_core(loihi1, neurons, delayed, sparse, dense):
    coding = ListCoding(loihi1, neurons, delayed)
    assert coding.sparse(neurons) == sparse
    assert coding.dense(neurons) == dense


def test_subtraction_takes_two_compartments_on_loihi_1(loihi1, loihi2):
    zero, subtract = LoihiLIF(9), LoihiLIFSubtract(9, subtrahend=10)
    taken = [
        [compartments_of(Population("a", (3,), neuron), chip) for neuron in (zero, subtract)]
        for chip in (loihi1, loihi2)
    ]
    assert taken == [[1, 2], [1, 1]]

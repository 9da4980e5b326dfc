"""Where potentials lie: each neuron has its own address wherever one is called known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.dynapcnn.samna.address import address, addresses, is_known

SIZES = st.integers(1, 12)


@given(SIZES, SIZES, SIZES)
def test_no_two_neurons_share_an_address(channels, height, width):
    found = list(addresses((channels, height, width)))
    assert len({word for word, _ in found}) == len(found) == channels * height * width


@pytest.mark.parametrize(
    ("shape", "known"), [((3, 1, 1), True), ((16, 32, 32), True), ((2, 13, 16), True), ((2, 8, 16), False)]
)
def test_where_rows_and_columns_have_other_bits_nothing_is_known(shape, known):
    assert is_known(shape, 1 << 16) is known


def test_an_address_beyond_the_memory_is_none():
    # 20 channels take 5 bits, so the last neuron of 64x64 has the address 131,059; the core has 65,536 words.
    assert not is_known((20, 64, 64), 1 << 16)
    assert is_known((3, 8, 8), 255)
    assert not is_known((3, 8, 8), 254)


def test_the_channel_lies_lowest_then_the_column():
    # sinabs' calculate_neuron_address(x=5, y=9, c=3, (16, 32, 32))
    assert address((16, 32, 32), 3, 9, 5) == 9 << 9 | 5 << 4 | 3

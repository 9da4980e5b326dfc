"""Where a neuron's potential lies in its core's memory."""

from __future__ import annotations

from collections.abc import Iterator

Map = tuple[int, int, int]
"""Channels, height and width."""


def bits(count: int) -> int:
    """Bits that number `count` things."""
    return (count - 1).bit_length()


def is_known(shape: Map, words: int) -> bool:
    """Whether the addresses of the neurons of a map are known, on a core with a neuron memory of so many words.

    sinabs 3.1.3 (`calculate_neuron_address` in `sinabs/backend/dynapcnn/io.py`) shifts the row by the
    bits of the row, not by those of the column, so that neurons of wide maps would share addresses.
    Where both have the same number of bits this makes no difference; elsewhere nothing is published.
    The channel's bits are rounded up, too, which the memory that sinabs reckons with has no room for
    (`memory_summary`): where an address would lie beyond the memory, it cannot be right.
    """
    largest = address(shape, shape[0] - 1, shape[1] - 1, shape[2] - 1)
    return bits(shape[1]) == bits(shape[2]) and largest < words


def address(shape: Map, channel: int, row: int, column: int) -> int:
    """Of a neuron: row, column, channel, the channel in the lowest bits (same source)."""
    low = bits(shape[0])
    return row << (low + bits(shape[2])) | column << low | channel


def addresses(shape: Map) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Each neuron's address and place (channel, row, column)."""
    for channel in range(shape[0]):
        for row in range(shape[1]):
            for column in range(shape[2]):
                yield address(shape, channel, row, column), (channel, row, column)

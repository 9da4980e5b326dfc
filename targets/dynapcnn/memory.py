"""The three memories of a core, and what a layer takes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nmdeploy.linear_maps import Pair
from nmdeploy.target import Chip
from targets.dynapcnn.layer import ChipLayer
from targets.dynapcnn.link import Map

KERNEL, NEURON, BIAS = "kernel_words", "neuron_words", "bias_words"
RESOURCES = (KERNEL, NEURON, BIAS)
"""Resources of a core. What core 3 has is the chip's figure `kernel_words_3`, and so on."""

Words = Mapping[str, int]
"""Words by resource: 8 bits a weight, 16 bits a neuron, one a bias."""


@dataclass(frozen=True)
class LayerSize:
    """What of a layer counts for its memory.

    Attributes:
        input_channels: c, of all sources together.
        kernel: ky, kx.
        output_shape: f, h, w: its neurons, before pooling.
        biased: whether it has biases.
    """

    input_channels: int
    kernel: Pair
    output_shape: Map
    biased: bool = False

    @classmethod
    def of(cls, layer: ChipLayer) -> LayerSize:
        """The size of a layer."""
        return cls(layer.input_shape[0], layer.kernel, layer.output_shape, layer.biases is not None)

    @property
    def words(self) -> dict[str, int]:
        """Words of each memory (sinabs 3.1.3, dynapcnn_layer.py, `memory_summary`).

        Addresses are put together from bit fields, so sizes are rounded up to powers of two::

            kernel = c * 2**(ceil(log2(ky * kx)) + ceil(log2(f)))
            neuron = f * 2**(ceil(log2(h)) + ceil(log2(w)))
            bias   = f, or 0 without biases
        """
        filters, height, width = self.output_shape
        taps = self.kernel[0] * self.kernel[1]
        return {
            KERNEL: self.input_channels << (address_bits(taps) + address_bits(filters)),
            NEURON: filters << (address_bits(height) + address_bits(width)),
            BIAS: filters if self.biased else 0,
        }

    def with_channels(self, filters: int) -> LayerSize:
        """The same layer with so many output channels."""
        return replace(self, output_shape=(filters, *self.output_shape[1:]))


def address_bits(count: int) -> int:
    """Bits that number `count` things: ceil(log2(count))."""
    return (count - 1).bit_length()


def memory(layer: ChipLayer) -> dict[str, int]:
    """What a layer takes of each memory of its core."""
    return LayerSize.of(layer).words


def core_memories(chip: Chip) -> tuple[Words, ...]:
    """What each core of the chip has, by core."""
    return tuple({name: chip.limit(f"{name}_{core}") for name in RESOURCES} for core in range(chip.limit("cores")))


def fits(needs: Words, has: Words) -> bool:
    """Whether all three memories suffice."""
    return all(needs[name] <= has[name] for name in RESOURCES)


def cores_for(needs: Words, cores: Sequence[Words]) -> list[int]:
    """The cores whose memories suffice, in order."""
    return [core for core, has in enumerate(cores) if fits(needs, has)]

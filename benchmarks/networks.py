"""The networks that are measured: one trained, the others with seeded random int8 weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d, Synapse

Array = NDArray[Any]
Chain = tuple[Synapse, ...]

LARGEST_WEIGHT = 127
POOL_AREA = 4


def feed_forward(name: str, shape: tuple[int, ...], layers: Sequence[tuple[Chain, int]]) -> Network:
    """A chain of integrate-and-fire layers with reset by subtraction, given as (synapses, threshold)."""
    populations, projections = [Population("input", shape)], []
    for index, (chain, threshold) in enumerate(layers, 1):
        for synapse in chain:
            shape = synapse.out_shape(shape)
        populations.append(Population(f"layer{index}", shape, IF(threshold=threshold)))
        projections.append(Projection(populations[-2].name, populations[-1].name, chain))
    return Network(name, tuple(populations), tuple(projections))


def sinabs_cnn(state: dict[str, NDArray[np.float32]]) -> Network:
    """The sinabs tutorial's MNIST CNN in int8: three convolutions, sum pools behind them, two dense layers.

    The largest weight of a layer becomes 127, its threshold of 1.0 follows. The weights
    were trained behind average pools; a sum pool with a threshold that is larger by the
    pool's area is the same layer.

    Args:
        state: the state dict of `sinabs_mnist_cnn.pt`.
    """
    layers = []
    for key, pooled in (("0", False), ("3", True), ("6", True), ("10", True), ("12", False)):
        weight = state[f"{key}.weight"]
        scale = LARGEST_WEIGHT / np.abs(weight).max()
        integers = np.rint(weight * scale).astype(np.int8)
        chain: Chain = (SumPool2d((2, 2)),) if pooled else ()
        if weight.ndim == 4:
            chain += (Conv2d(integers),)
        else:
            chain += ((Reshape((128,)),) if pooled else ()) + (Dense(integers),)
        layers.append((chain, round(float(scale * (POOL_AREA if pooled else 1)))))
    return feed_forward("sinabs MNIST CNN", (1, 28, 28), layers)


def load_sinabs_cnn(folder: Path) -> Network:
    """`sinabs_cnn` from `models/sinabs_mnist_cnn.pt` in a folder; needs torch to read it."""
    import torch

    state = torch.load(folder / "models" / "sinabs_mnist_cnn.pt", map_location="cpu", weights_only=True)
    return sinabs_cnn({key: value.numpy() for key, value in state.items()})


def random_weights(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Uniform int8 weights."""
    return generator.integers(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1, shape, dtype=np.int8)


def dense_network(seed: int = 0, sizes: Sequence[int] = (784, 500, 10)) -> Network:
    """Dense layers of these sizes, random int8 weights."""
    generator = np.random.Generator(np.random.PCG64(seed))
    layers = [
        ((Dense(random_weights(generator, (after, before))),), LARGEST_WEIGHT * 4) for before, after in pairwise(sizes)
    ]
    return feed_forward("dense " + "-".join(map(str, sizes)), (sizes[0],), layers)


VGG_WIDTHS = ((64, 64), (128, 128), (256, 256), (512, 512))
"""Output channels of the convolutions; a 2x2 pool follows each pair."""


def vgg(seed: int = 0, widths: Sequence[Sequence[int]] = VGG_WIDTHS, side: int = 32) -> Network:
    """A VGG for CIFAR-size images: 3x3 convolutions with padding in pairs, sum pools between, one dense layer."""
    generator = np.random.Generator(np.random.PCG64(seed))
    layers: list[tuple[Chain, int]] = []
    before: int = 3
    pool: Chain = ()
    for pair in widths:
        for after in pair:
            convolution = Conv2d(random_weights(generator, (after, before, 3, 3)), padding=(1, 1, 1, 1))
            layers.append(((*pool, convolution), LARGEST_WEIGHT * 4))
            before, pool = after, ()
        pool = (SumPool2d((2, 2)),)
        side //= 2
    flat = before * side * side
    head = (*pool, Reshape((flat,)), Dense(random_weights(generator, (10, flat))))
    layers.append((head, LARGEST_WEIGHT * 4))
    size = side * 2 ** len(widths)
    return feed_forward(f"VGG, {sum(map(len, widths))} convolutions", (3, size, size), layers)


def small_convolutions(seed: int = 0, width: int = 8) -> Network:
    """28x28x1, two 3x3 convolutions of stride 2 with `width` and twice as many channels, ten outputs."""
    generator = np.random.Generator(np.random.PCG64(seed))
    first = Conv2d(random_weights(generator, (width, 1, 3, 3)), stride=(2, 2))
    second = Conv2d(random_weights(generator, (2 * width, width, 3, 3)), stride=(2, 2))
    flat = 2 * width * 6 * 6
    head = (Reshape((flat,)), Dense(random_weights(generator, (10, flat))))
    layers = [((first,), LARGEST_WEIGHT * 2), ((second,), LARGEST_WEIGHT * 4), (head, LARGEST_WEIGHT * 4)]
    return feed_forward(f"conv{width}-conv{2 * width}-10", (1, 28, 28), layers)

"""Cores that the Loihi mapper takes, beside published partitions and the proven lower bound.

Shapes only: weights are random, none of them 0. Our cores, bounds and shares are modelled
(`targets/loihi/mapper/sharing.py` states the model); published figures are quoted with their
source; times are measured on this machine. Where a publication does not give a network's
shape, `SHAPES` says what was reconstructed from what.

    python -m benchmarks.loihi_mapping [--only NAME ...] [--check]
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nmdeploy.deployment import Placement
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import NeuronModel
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, Shape, SumPool2d, Synapse
from nmdeploy.target import Chip
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract

Layer = Callable[[Shape, np.random.Generator], Synapse]
"""Makes a synapse for an input shape."""


def _weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.integers(1, 128, shape) * rng.choice([-2, 2], shape)).astype(np.int16)


def conv(filters: int, kernel: int, stride: int = 1, padding: int | tuple[int, ...] = 0) -> Layer:
    """A convolution."""
    return lambda shape, rng: Conv2d(_weights(rng, filters, shape[0], kernel, kernel), stride, padding)


def depthwise(stride: int = 1) -> Layer:
    """A 3x3 depthwise convolution; like Keras it pads below and to the right where the stride is 2."""
    padding = 1 if stride == 1 else (0, 1, 0, 1)
    return lambda shape, rng: Conv2d(_weights(rng, shape[0], 1, 3, 3), stride, padding, groups=shape[0])


def pool(size: int) -> Layer:
    """A sum-pool."""
    return lambda shape, rng: SumPool2d((size, size))


def flatten() -> Layer:
    """A reshape to one axis."""
    return lambda shape, rng: Reshape((int(np.prod(shape)),))


def dense(neurons: int) -> Layer:
    """A fully connected layer."""
    return lambda shape, rng: Dense(_weights(rng, neurons, shape[0]))


def same() -> Layer:
    """One weight, neuron by neuron: an input layer of neurons on the chip, as NxTF has it."""
    return lambda shape, rng: OneToOne(np.array([2], dtype=np.int16))


def network(name: str, image: Shape, layers: Sequence[Sequence[Layer]], neuron: NeuronModel) -> Network:
    """A chain of populations; each of `layers` is the chain of synapses into one of them."""
    rng = np.random.default_rng(0)
    populations, projections = [Population("image", image)], []
    for index, makers in enumerate(layers):
        shape, chain = populations[-1].shape, []
        for maker in makers:
            chain.append(maker(shape, rng))
            shape = chain[-1].out_shape(shape)
        populations.append(Population(f"layer{index}", shape, neuron))
        projections.append(Projection(populations[-2].name, populations[-1].name, tuple(chain), delay=1, exponent=-1))
    return Network(name, tuple(populations), tuple(projections))


def mobilenet(classes: int, pointwise: Sequence[tuple[int, int]], last_pool: int) -> list[list[Layer]]:
    """MobileNet (alpha 1): input neurons, a strided convolution, blocks of (filters, stride), a pool, a read-out."""
    layers = [[same()], [conv(32, 3, 2, (0, 1, 0, 1))]]
    for filters, stride in pointwise:
        layers += [[depthwise(stride)], [conv(filters, 1)]]
    return [*layers, [pool(last_pool)], [flatten(), dense(classes)]]


@dataclass(frozen=True)
class Case:
    """A network and what was published about it.

    Attributes:
        image, layers: its shape.
        published: cores and chips, with the source.
        shape: where the shape comes from.
        neuron: the chip's neuron of every population.
    """

    image: Shape
    layers: Sequence[Sequence[Layer]]
    published: str
    shape: str
    neuron: NeuronModel = field(default_factory=lambda: LoihiLIF(100))

    def network(self, name: str) -> Network:
        """The network with random weights."""
        return network(name, self.image, self.layers, self.neuron)


_TAIL = [(512, 1)] * 5
_BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]

SHAPES = {
    "mlp": Case((784,), [[dense(256)], [dense(10)]], "-", "784-256-10"),
    "mnist-pools": Case(
        (1, 28, 28),
        [
            [conv(20, 5)],
            [pool(2), conv(32, 5)],
            [pool(2), conv(128, 3)],
            [pool(2), flatten(), dense(500)],
            [dense(10)],
        ],
        "-",
        "sinabs tutorial; 92 cores with an earlier mapper of ours that shared no lists",
    ),
    "mnist-blocks": Case(
        (1, 28, 28),
        [[conv(32, 3)], [pool(2), conv(32, 3)], [pool(2), conv(32, 3)], [pool(2), flatten(), dense(10)]],
        "-",
        "three blocks of conv32 3x3 and 2x2 pool",
    ),
    "nxtf-mnist": Case(
        (1, 28, 28),
        [[same()], [conv(16, 3, 2, (0, 1, 0, 1))], [conv(6, 7)], [conv(6, 5, 2, (1, 2, 1, 2))], [flatten(), dense(10)]],
        "14 cores (Rueckauer et al. 2022)",
        "not published: made to have 4 layers, 6,746 parameters, about 341k synapses and 4k neurons as published",
    ),
    "nxtf-mnist-tutorial": Case(
        (1, 28, 28),
        [[same()], [conv(16, 5, 2)], [conv(32, 3)], [conv(64, 3, 2)], [conv(10, 4)]],
        "-",
        "Intel's MNIST tutorial of NxTF: 33,802 parameters",
    ),
    "nxtf-cifar-mobilenet": Case(
        (3, 32, 32),
        mobilenet(10, _BLOCKS, 2),
        "157 cores on 2 chips (Intel's CIFAR-10 tutorial of NxTF)",
        "train_pseudo_mobile_net.py with two blocks and 32 filters, as the tutorial's log names them; soft reset",
        LoihiLIFSubtract(99, subtrahend=100),
    ),
    "nxtf-mobilenet-128": Case(
        (3, 128, 128),
        mobilenet(1000, [*_BLOCKS, (512, 2), *_TAIL, (1024, 2), (1024, 1)], 4),
        "16 chips at 80 % (Rueckauer et al. 2022)",
        "Keras MobileNet, alpha 1, 128x128x3, 1000 classes: 28 layers with weights, 4.2M parameters",
    ),
}


def utilisation(placement: Placement, chip: Chip) -> float:
    """Compartments in use, as a share of those of all chips."""
    used = sum(load.used["compartments"] for load in placement.cores)
    return used / (placement.chip_count * chip.limit("cores") * chip.limit("compartments"))


def report(name: str, case: Case, chip: Chip, check: bool) -> None:
    """Map one network and print its line."""
    net = case.network(name)
    start = time.process_time()
    placement = TARGET.map(net, chip, None)
    seconds = time.process_time() - start
    least = placement.least_cores or 1
    neurons = sum(population.size for population in net.populations if not population.is_input)
    print(f"{name}: {len(net.populations) - 1} populations, {neurons:,} neurons  ({case.shape})")
    print(f"  published  {case.published}")
    print(
        f"  modelled   {placement.core_count:,} cores on {placement.chip_count} chips,"
        f" {100 * utilisation(placement, chip):.0f} % of their compartments;"
        f" least {least:,}, gap at most {100 * (placement.core_count / least - 1):.1f} %"
    )
    print(f"  measured   {seconds:.2f} s of CPU to map (n = 1)", flush=True)
    if check:
        start = time.process_time()
        broken = TARGET.check(net, placement, chip)
        print(f"  re-walked  {len(broken)} violations, {time.process_time() - start:.1f} s of CPU", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Map every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="NAME")
    parser.add_argument("--check", action="store_true", help="re-walk each placement (minutes for the largest)")
    options = parser.parse_args(arguments)
    chip = TARGET.chips()["loihi1"]
    print(f"{chip.title}; Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    for name in options.only:
        report(name, SHAPES[name], chip, options.check)


if __name__ == "__main__":
    main()

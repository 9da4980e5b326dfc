"""Emulator speed beside plain torch: the same integers, one process, CPU time.

Workload: the sinabs tutorial MNIST CNN with int8 weights per layer, integrate-and-fire
neurons with reset by subtraction, Bernoulli input. Run with:

    OMP_NUM_THREADS=1 python benchmarks/emulator.py --images 64 --steps 100

The rivals take turns, so that a busy machine is busy for all of them; trust ratios
more than absolute times. Needs torch, `models/sinabs_mnist_cnn.pt` and `data/mnist.npz`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.result import Result
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.report.summary import table
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d, Synapse

Array = NDArray[np.generic]
LAYERS = ("0", "3", "6", "10", "12")
SHAPES = ((20, 24, 24), (32, 8, 8), (128, 2, 2), (500,), (10,))
POOLED = (1, 2, 3)
POOL_AREA = 4
LARGEST_WEIGHT = 127


def int8_layers(state: dict[str, NDArray[np.float32]]) -> list[tuple[NDArray[np.int8], int]]:
    """Weights and threshold of each layer: the largest weight becomes 127, the threshold of 1.0 follows.

    The weights were trained behind average pools; a sum pool with a threshold
    that is larger by the pool's area is the same layer.
    """
    layers = []
    for index, key in enumerate(LAYERS):
        weight = state[f"{key}.weight"]
        scale = LARGEST_WEIGHT / np.abs(weight).max()
        threshold = scale * (POOL_AREA if index in POOLED else 1)
        layers.append((np.rint(weight * scale).astype(np.int8), round(float(threshold))))
    return layers


def build(layers: list[tuple[NDArray[np.int8], int]]) -> Network:
    """The network: three convolutions with sum pools behind them, two dense layers."""
    populations = [Population("image", (1, 28, 28))]
    projections = []
    for index, ((weight, threshold), shape) in enumerate(zip(layers, SHAPES, strict=True)):
        chain: tuple[Synapse, ...] = (SumPool2d(2),) if index in POOLED else ()
        chain += (Reshape((128,)), Dense(weight)) if index == 3 else ()
        chain += (Dense(weight),) if index == 4 else ()
        chain += (Conv2d(weight),) if index < 3 else ()
        name = f"layer{index + 1}"
        projections.append(Projection(populations[-1].name, name, chain))
        populations.append(Population(name, shape, IF(threshold=threshold)))
    return Network("sinabs MNIST CNN", tuple(populations), tuple(projections))


def torch_loop(layers: list[tuple[NDArray[np.int8], int]], spikes: Array, batch: int) -> Array:
    """The same network as a plain float32 torch program, step by step: output spikes `[T, N, 10]`."""
    import torch
    from torch.nn import functional

    weights = [torch.tensor(weight, dtype=torch.float32) for weight, _ in layers]
    thresholds = [float(threshold) for _, threshold in layers]
    out = np.empty((*spikes.shape[:2], 10), np.uint8)
    with torch.inference_mode():
        for first in range(0, spikes.shape[1], batch):
            given = torch.tensor(spikes[:, first : first + batch])
            potentials = [torch.zeros(given.shape[1], *shape) for shape in SHAPES]
            for step, image in enumerate(given):
                x = image.float()
                for index, (weight, threshold, v) in enumerate(zip(weights, thresholds, potentials, strict=True)):
                    if index in POOLED:
                        x = functional.avg_pool2d(x, 2, divisor_override=1)
                    v += functional.conv2d(x, weight) if index < 3 else functional.linear(x.flatten(1), weight)
                    x = (v >= threshold).float()
                    v -= x * threshold
                out[step, first : first + batch] = x.numpy()
    return out


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads together, in one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def load(folder: Path, images: int, steps: int) -> tuple[list[tuple[NDArray[np.int8], int]], NDArray[np.uint8]]:
    """int8 layers, and Bernoulli spikes `[T, N, 1, 28, 28]` of a seeded draw of test images."""
    import torch

    state = torch.load(folder / "models" / "sinabs_mnist_cnn.pt", map_location="cpu", weights_only=True)
    layers = int8_layers({key: value.numpy() for key, value in state.items()})
    with np.load(folder / "data" / "mnist.npz", allow_pickle=False) as data:
        pixels = data["x_test"]
    rng = np.random.Generator(np.random.PCG64(0))
    chosen = pixels[rng.choice(len(pixels), images, replace=False)][:, None]
    return layers, (rng.random((steps, *chosen.shape)) < chosen / 255).astype(np.uint8)


def machine(threads: int) -> str:
    """Processor, load and thread count, for the record."""
    info = Path("/proc/cpuinfo")
    models = [line.split(": ")[1] for line in info.read_text().splitlines() if line.startswith("model name")]
    name = models[0] if models else platform.processor()
    return f"{name}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}, {threads} thread(s)"


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).resolve().parents[2] / "shared"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NMDEPLOY_SHARED", beside)))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="torch's; numpy's BLAS obeys OMP_NUM_THREADS")
    parser.add_argument("--torch-batches", type=int, nargs="+", default=[8, 32])
    return parser.parse_args()


def main() -> None:
    """Measure, assert that all give the same output spikes, and print a table."""
    import torch

    options = parse()
    torch.set_num_threads(options.threads)
    layers, spikes = load(options.data, options.images, options.steps)
    network = build(layers)

    result: Result = emulate(network, spikes)
    output = result.spikes["layer5"]
    rivals: dict[str, Callable[[], object]] = {"nmdeploy numpy engine": lambda: emulate(network, spikes)}
    for batch in options.torch_batches:
        np.testing.assert_array_equal(torch_loop(layers, spikes, batch), output)
        rivals[f"torch {torch.__version__} step loop, batch {batch}"] = lambda b=batch: torch_loop(layers, spikes, b)

    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(options.repeats):
        for name, run in rivals.items():
            times[name].append(1e3 * cpu_seconds(run) / options.images)
    best = min(statistics.median(measured) for name, measured in times.items() if name.startswith("torch"))
    rows = [
        (name, f"{statistics.median(t):.2f}", f"{min(t):.2f}", f"{max(t):.2f}", f"{statistics.median(t) / best:.2f}")
        for name, t in times.items()
    ]
    operations = sum(int(each.sum()) for each in result.synaptic_operations.values()) / options.images
    print(f"measured: CPU ms per image, {options.images} images x {options.steps} steps, n = {options.repeats} runs")
    print(f"on: {machine(options.threads)}")
    print(f"work: {operations / 1e6:.1f} million synaptic operations per image; output spikes equal in all rows")
    print(table(("system", "median", "least", "most", "x best torch"), rows))


if __name__ == "__main__":
    main()

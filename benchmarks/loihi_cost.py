"""Our modelled cost on Loihi 1 beside measurements that Intel published of MNIST networks.

    python benchmarks/loihi_cost.py mnist.npz

Trains the network of Intel's NxTF tutorial (`a_image_classification_mnist.ipynb`: convolutions
16-32-64-10, 33,802 parameters) with PyTorch, maps it, counts its events in an emulation, and
puts table 2 of Davies et al. 2018 to them. Nothing is fitted to the measurements.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import nmdeploy as nm
from nmdeploy.cost import cost_in
from nmdeploy.data import Samples, load_samples
from nmdeploy.demo.model import train
from nmdeploy.pipeline import Recipe, build, measure
from nmdeploy.report.units import amount

SHAPE = (1, 28, 28)
TRAINING, CALIBRATION, TEST = 20_000, 300, 100
PUBLISHED = {
    512: "measured by Intel (tutorial, this network, 512 steps): 60.8 us a step, 29.4 ms a sample; energy not given",
    100: "measured by Rueckauer et al. 2022 (NxTF, another 4-layer CNN of about 4k neurons on 14 cores, 100 steps):\n"
    "  6.65 ms and 0.66 mJ a sample, management and x86 processors included",
}


def tutorial_network() -> nn.Module:
    """The tutorial's network; its dropout layers do nothing after training and are left out."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 10, 4),
        nn.Flatten(),
    )


def show(model: nn.Module, training: Samples, test: Samples, steps: int) -> None:
    """Convert, map and emulate for so many steps, and print our figures beside the published ones."""
    recipe = Recipe(steps=steps, reset="zero")
    graph = nm.from_torch(model, training.x[:1], name="mnist-nxtf")
    stages = build(graph, training.x[:CALIBRATION], nm.chip("loihi1"), recipe)
    deployment = measure(stages, test, recipe, on="MNIST test part")
    cost = cost_in(deployment.figures)
    assert cost is not None
    assert cost.time is not None
    assert cost.energy is not None
    right = deployment.figures["accuracy.chip"]["value"]
    print(f"{steps} steps, {deployment.placement.core_count} cores, {right:.1%} of {len(test)} right (emulated)")
    print(f"  modelled: {amount(cost.time, 's')} a sample, {amount(cost.time.times(1 / cost.steps), 's')} a step")
    parts = zip(("events", "static power"), (cost.dynamic_energy, cost.static_energy), strict=True)
    shares = ", ".join(f"{name} {amount(part, 'J')}" for name, part in parts if part is not None)
    print(f"  modelled: {amount(cost.energy, 'J')} a sample ({shares})")
    print(f"  {PUBLISHED[steps]}")


def main() -> None:
    """Train once, show both numbers of steps."""
    data = Path(sys.argv[1])
    training = load_samples(data, "train", SHAPE).stratified(TRAINING, seed=0)
    test = load_samples(data, "test", SHAPE).stratified(TEST, seed=0)
    model = tutorial_network()
    train(model, training, epochs=2, seed=0)
    for steps in PUBLISHED:
        show(model, training, test, steps)


if __name__ == "__main__":
    main()

"""The network of the demonstration and its training, in plain PyTorch."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from nmdeploy.data import Samples
from nmdeploy.errors import MissingDependency
from nmdeploy.progress import Progress

if TYPE_CHECKING:
    import torch


def small_cnn(side: int = 8, classes: int = 10) -> torch.nn.Module:
    """Blocks of conv 3x3, batch-norm, ReLU and 2x2 average pool, then one linear layer.

    Images below 16x16 go through two blocks, larger ones through three, so that the
    linear layer has few enough inputs for one core of a chip.

    Args:
        side: height and width of the one-channel images; at least 4.
        classes: number of outputs.

    Raises:
        MissingDependency: without torch.
    """
    nn = _torch().nn
    widths = (16, 32) if side < 16 else (16, 32, 32)
    layers = []
    for number, (before, after) in enumerate(zip((1, *widths), widths, strict=False), 1):
        layers += [
            (f"conv{number}", nn.Conv2d(before, after, 3, padding=1)),
            (f"norm{number}", nn.BatchNorm2d(after)),
            (f"relu{number}", nn.ReLU()),
            (f"pool{number}", nn.AvgPool2d(2)),
        ]
    features = widths[-1] * (side // 2 ** len(widths)) ** 2
    layers += [("flatten", nn.Flatten()), ("linear", nn.Linear(features, classes))]
    return nn.Sequential(OrderedDict(layers))


def seeded_cnn(side: int, classes: int, seed: int) -> torch.nn.Module:
    """`small_cnn` with weights that depend on `seed` alone; torch's global generator is left as it was."""
    torch = _torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return small_cnn(side, classes)


def train(
    model: torch.nn.Module,
    samples: Samples,
    *,
    epochs: int,
    seed: int,
    batch: int = 64,
    progress: Progress | None = None,
) -> None:
    """Train in place with Adam on the cross-entropy; same seed, same weights on one machine.

    Args:
        model: the network; left in eval mode.
        samples: inputs and labels.
        epochs: passes over the samples.
        seed: seeds the order of the samples.
        batch: samples a step.
        progress: called after every step with (steps done, steps in all).
    """
    torch = _torch()
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    order = np.random.Generator(np.random.PCG64(seed))
    steps = epochs * -(-len(x) // batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    model.train()
    done = 0
    for _ in range(epochs):
        shuffled = torch.from_numpy(order.permutation(len(x)))
        for start in range(0, len(x), batch):
            index = shuffled[start : start + batch]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
            schedule.step()
            done += 1
            if progress is not None:
                progress(done, steps)
    model.eval()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependency("torch", "demo", "the demonstration trains a network, which") from error
    return torch

"""Networks A, B and C on real MNIST: made, trained, loaded; and the options that benchmarks of accuracy share.

`A` is an MLP 784-256-10, `B` a CNN without biases, `C` three blocks of convolution, batch norm,
ReLU and average pool. Trained weights lie in a folder as `mnist_<name>.pt`, those fine-tuned for
exact mode with L levels as `mnist_<name>_qcfs<L>.pt`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.data import Samples, load_parts
from nmdeploy.demo.model import train
from nmdeploy.report.summary import Row

SHARED = Path(os.environ.get("NMDEPLOY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
NAMES = ("A", "B", "C")
SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Images:
    """What a benchmark works on: images of the training set to calibrate on, and test images, which choose nothing."""

    training: Samples
    calibration: Samples
    test: Samples

    def balance(self) -> str:
        """How even the classes are, in words."""
        counts = np.bincount(labels(self.test))
        return f"{len(self.test)} test images ({counts.min()} to {counts.max()} of each class)"


def images(given: argparse.Namespace) -> Images:
    """The images that the options ask for; each class has its share in every part.

    Raises:
        ValueError: where a class has not.
    """
    training, testing = load_parts(given.data / "data" / "mnist.npz", SHAPE)
    parts = Images(training, training.drawn(given.calibration, given.seed), testing.drawn(given.images, given.seed))
    check_balance(parts.calibration, training)
    check_balance(parts.test, testing)
    return parts


def check_balance(part: Samples, whole: Samples) -> None:
    """Whether every class has its share in a part of the samples, to within one.

    Raises:
        ValueError: naming the first class that has not.
    """
    shares = np.bincount(labels(whole)) * (len(part) / len(whole))
    found = np.bincount(labels(part), minlength=len(shares))
    wrong = np.flatnonzero(np.abs(found - shares) >= 1)
    if wrong.size:
        raise ValueError(f"class {wrong[0]}: {found[wrong[0]]} samples, its share is {shares[wrong[0]]:.1f}")


def labels(samples: Samples) -> Any:
    """The labels, none where there are none."""
    return np.zeros(0, np.int64) if samples.y is None else samples.y


def binomial_error(share: float, count: int) -> float:
    """The standard error of a share of so many images, in points."""
    return 100.0 * (share * (1 - share) / count) ** 0.5


def untrained(name: str) -> Any:
    """The torch module of a network, its weights drawn from torch's generator."""
    from torch import nn

    def block(before: int) -> list[nn.Module]:
        return [nn.Conv2d(before, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)]

    def stage(before: int, after: int, side: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, side, bias=False), nn.ReLU(), nn.AvgPool2d(2)]

    head = [nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    layers: dict[str, list[nn.Module]] = {
        "A": [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)],
        "B": [*stage(1, 20, 5), *stage(20, 32, 5), *stage(32, 128, 3), *head],
        "C": [*block(1), *block(32), *block(32), nn.Flatten(), nn.Linear(32, 10)],
    }
    return nn.Sequential(*layers[name])


def model(name: str, state: Path) -> Any:
    """The trained torch module of a network."""
    import torch

    made = untrained(name)
    made.load_state_dict(torch.load(state, weights_only=True, map_location="cpu"))
    return made.eval()


def train_networks(names: Iterable[str], training: Samples, epochs: int, seed: int, folder: Path) -> None:
    """Train networks from the seed alone, and save them in the folder."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = untrained(name)
        train(module, training, epochs=epochs, seed=seed)
        torch.save(module.state_dict(), folder / f"mnist_{name}.pt")


def graph_of(name: str, folder: Path, example: Any) -> AnnGraph:
    """A trained network of the folder."""
    return from_torch(model(name, folder / f"mnist_{name}.pt"), example, name=name)


def fine_tuned(name: str, folder: Path, example: Any, levels: int = 8) -> AnnGraph | None:
    """A network after QCFS fine-tuning, activations cut off at their learned bounds; None if the folder has none."""
    import torch
    from torch import nn

    path = folder / f"mnist_{name}_qcfs{levels}.pt"
    if not path.is_file():
        return None
    module, stored = untrained(name), torch.load(path, weights_only=True, map_location="cpu")
    module.load_state_dict({key: value for key, value in stored["state_dict"].items() if not key.endswith(".lam")})
    rectifiers = [index for index, layer in enumerate(module) if isinstance(layer, nn.ReLU)]
    for index, bound in zip(rectifiers, stored["bounds"], strict=True):
        module[index] = nn.Hardtanh(0.0, bound)
    return from_torch(module.eval(), example, name=name)


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark of accuracy."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--images", type=int, default=2000, help="test images (10,000 are all)")
    parser.add_argument("--calibration", type=int, default=500, help="images from the training set")
    parser.add_argument("--seed", type=int, default=0, help="of the draws of images")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with data/mnist.npz and models/")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def write_json(path: Path | None, header: Row, rows: Sequence[Row]) -> None:
    """The rows of a table by the names of their columns; nothing without a path."""
    if path is not None:
        path.write_text(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1))

"""The demonstration's path: data, training, then the pipeline that every user takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nmdeploy.ann.from_torch import from_torch
from nmdeploy.data import Samples, load_parts
from nmdeploy.demo.digits import load_digits
from nmdeploy.demo.model import seeded_cnn, train
from nmdeploy.deployment import Deployment
from nmdeploy.errors import DataError
from nmdeploy.pipeline import RATE_CALIBRATED, Recipe, Stage, build, measure, silent
from nmdeploy.target import Choice

if TYPE_CHECKING:
    import torch

LARGEST_TRAINING = 12_000
LARGEST_TEST = 360
CALIBRATION = 200
IMAGES_SEEN = 24_000
"""Images that training looks at in all: some seconds, whatever the data."""


def demo_recipe(steps: int = 16, seed: int = 0) -> Recipe:
    """Calibration with the chip in the loop, which makes few steps enough."""
    return Recipe(method=RATE_CALIBRATED, steps=steps, seed=seed)


def run_demo(data: Path | None, chip: Choice, recipe: Recipe, stage: Stage = silent) -> Deployment:
    """Train, convert, map and measure the small CNN.

    Args:
        data: `.npz` of square one-channel images with labels; None for scikit-learn's digits.
        chip: from `nmdeploy.chip`.
        recipe: how to convert.
        stage: opens a progress display for each stage.

    Raises:
        MissingDependency: without torch, or without scikit-learn when `data` is None.
        DataError: when `data` does not hold such images.
    """
    training, test = load_digits(recipe.seed) if data is None else _images(data, recipe.seed)
    side = training.x.shape[-1]
    classes = 1 + max(int(part.y.max()) for part in (training, test) if part.y is not None)
    model = seeded_cnn(side, classes, recipe.seed)
    _train(model, training, recipe.seed, stage)
    graph = from_torch(model, training.x[:1], name="mnist" if side == 28 else "digits")
    calibration = training.stratified(min(CALIBRATION, len(training)), recipe.seed)
    stages = build(graph, calibration.x, chip, recipe, stage)
    subset = test.stratified(min(LARGEST_TEST, len(test)), recipe.seed)
    on = f"{'scikit-learn digits' if data is None else data.name}, test part"
    return measure(stages, subset, recipe, stage, on)


def trained_digits(seed: int = 0) -> tuple[torch.nn.Module, Samples, Samples]:
    """The demonstration's CNN trained on scikit-learn's digits, with its training and test samples.

    Args:
        seed: seeds split, weights and order.

    Raises:
        MissingDependency: without torch or scikit-learn.
    """
    training, test = load_digits(seed)
    model = seeded_cnn(training.x.shape[-1], 10, seed)
    _train(model, training, seed, silent)
    return model, training, test


def _images(path: Path, seed: int) -> tuple[Samples, Samples]:
    training, test = (_square(part, path) for part in load_parts(path))
    return training.stratified(min(LARGEST_TRAINING, len(training)), seed), test


def _square(samples: Samples, path: Path) -> Samples:
    """Samples of square images as `[N, 1, side, side]`."""
    *_, height, width = (0, 0, *samples.x.shape)
    if samples.y is None or height != width or samples.x[0].size != height * width or height < 4:
        raise DataError(
            "the demonstration takes square one-channel images of at least 4x4 with labels",
            where=str(path),
            found=samples.x.shape,
        )
    return Samples(samples.x.reshape(-1, 1, height, width), samples.y)


def _train(model: torch.nn.Module, training: Samples, seed: int, stage: Stage) -> None:
    epochs = max(1, round(IMAGES_SEEN / len(training)))
    with stage("training") as progress:
        train(model, training, epochs=epochs, seed=seed, progress=progress)

"""The data of the demonstration: scikit-learn's digits, shipped with that package."""

from __future__ import annotations

import numpy as np

from nmdeploy.data import Samples
from nmdeploy.errors import MissingDependency


def load_digits(seed: int, test_share: float = 0.2) -> tuple[Samples, Samples]:
    """8x8 grey digits as (train, test), shuffled and stratified.

    Source: scikit-learn's `load_digits`, the test part of the UCI set "Optical
    Recognition of Handwritten Digits" (1797 images, 16 grey levels).

    Args:
        seed: seeds the split.
        test_share: share of the samples kept for the test.

    Raises:
        MissingDependency: without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise MissingDependency("sklearn", "demo", "the demonstration's data") from error
    images, labels = load(return_X_y=True)
    everything = Samples((images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64))
    test, train = everything.split(round(len(everything) * test_share), seed)
    return train, test

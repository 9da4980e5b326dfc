"""Calibration samples divided: one part converts, the other judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision
from nmdeploy.convert.checks import check_variety
from nmdeploy.data import divided

LEAST_SAMPLES = 20
"""Fewer than this cannot be divided into a part that converts and one that judges."""
MOST_JUDGING = 300
"""Samples that candidates are run on at most."""
MOST_CONVERTING = 500
"""Samples that convert candidates at most; the one that is taken is converted with all."""


@dataclass(frozen=True)
class HeldOut:
    """The two parts.

    Attributes:
        converting: samples `[N, *shape]`.
        judging: others.
        wanted: int64 `[N]`, the class that a candidate should decide for, of those that judge.
        by_labels: the classes are labels; else they are the trained network's decisions.
        trained: how many of those that judge the trained network decides rightly.
    """

    converting: NDArray[Any]
    judging: NDArray[Any]
    wanted: NDArray[np.int64]
    by_labels: bool
    trained: int


def hold_out(graph: AnnGraph, samples: NDArray[Any], labels: NDArray[Any] | None, seed: int) -> HeldOut:
    """Divide samples at random, each class in both parts by its share.

    Args:
        graph: the trained network, whose decisions judge where there are no labels.
        samples: `[N, *shape]`; half of them judge, `MOST_JUDGING` at most.
        labels: int `[N]`, or None.
        seed: of the draw.

    Raises:
        DataError: for fewer than `LEAST_SAMPLES` samples, or samples that are all the same.
    """
    check_variety(samples, LEAST_SAMPLES)
    classes = _decisions(graph, samples) if labels is None else np.asarray(labels, dtype=np.int64)
    judging, rest = divided(classes, min(len(samples) // 2, MOST_JUDGING), seed)
    converting, _ = divided(classes[rest], min(len(rest), MOST_CONVERTING), seed)
    trained = int(np.count_nonzero(_decisions(graph, samples[judging]) == classes[judging]))
    return HeldOut(samples[rest[converting]], samples[judging], classes[judging], labels is not None, trained)


def _decisions(graph: AnnGraph, samples: NDArray[Any]) -> NDArray[np.int64]:
    """What the trained network decides for each sample."""
    scores = run_graph(graph, samples)[graph.output].reshape(len(samples), -1)
    return Decision.of_scores(scores).labels

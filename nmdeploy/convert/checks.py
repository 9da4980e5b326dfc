"""What must be right before a conversion begins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph, Linear, Node
from nmdeploy.coding.ranges import check_range, check_samples
from nmdeploy.errors import ModelError, ShapeError, UsageError

_WHERE = "calibration data"


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError unless `value` is one of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {option}", found=repr(value), limit=", ".join(choices))


def check_fraction(value: float) -> None:
    """Raise UsageError unless an initial potential is 0 <= value < 1 thresholds."""
    if not 0 <= value < 1:
        raise UsageError("v_init_fraction is a share of the threshold", found=value, limit="0 <= fraction < 1")


def only_source(graph: AnnGraph) -> Node:
    """The graph's one input node; ModelError when there are several or none."""
    if len(graph.sources) != 1:
        names = ", ".join(node.name for node in graph.sources) or "none"
        raise ModelError("the conversion takes models with one input", where=graph.name, found=names, limit=1)
    return graph.sources[0]


def check_weights(graph: AnnGraph) -> None:
    """Raise ModelError where a weight or bias is NaN or infinite."""
    for node in graph.nodes:
        if isinstance(node.operation, Linear):
            for what, values in (("weights", node.operation.synapse.weight), ("a bias", node.operation.bias)):
                if values is not None and not np.all(np.isfinite(values)):
                    count = int(values.size - np.isfinite(values).sum())
                    raise ModelError(
                        f"{what} that are NaN or infinite" if what == "weights" else "a bias that is NaN or infinite",
                        where=node.origin or node.name,
                        found=f"{count} of {values.size}",
                        hint="the training diverged or the file is damaged",
                    )


def check_calibration(samples: NDArray[Any], shape: tuple[int, ...], low: float, high: float) -> list[str]:
    """Remarks on calibration data that can be used.

    Raises:
        DataError: for an empty set, NaN, or values outside `low..high`.
        ShapeError: when samples have another shape than the network's input.
    """
    if samples.shape == shape and samples.size:
        raise ShapeError(
            "calibration data is a set of samples", where=_WHERE, found=samples.shape, limit=f"[N, {_listed(shape)}]"
        )
    check_samples(samples, _WHERE)
    if samples.shape[1:] != shape:
        raise ShapeError(
            "samples have another shape than the network's input",
            where=_WHERE,
            found=f"[N, {_listed(samples.shape[1:])}]",
            limit=f"[N, {_listed(shape)}]",
        )
    check_range(samples, low, high, _WHERE)
    if samples.min() == samples.max():
        return [f"{_WHERE}: all values are {samples.min():g}; the scales found from it mean little"]
    return []


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))

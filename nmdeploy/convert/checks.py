"""What must be right before a conversion begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph, Linear, Node
from nmdeploy.coding.ranges import check_range, check_samples
from nmdeploy.errors import DataError, ModelError, ShapeError, UsageError
from nmdeploy.network import Network

FEW_SAMPLES = 50
"""Below this many samples a conversion is possible, but chance shapes it."""

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
    return list(remarks_on(samples))


def remarks_on(samples: NDArray[Any]) -> Iterator[str]:
    """Remarks on samples that are all alike, or few."""
    if samples.min() == samples.max():
        yield f"{_WHERE}: all values are {samples.min():g}; the scales found from it mean little"
    elif _all_alike(samples):
        yield f"{_WHERE}: all {len(samples)} samples are the same; the scales found from them mean little"
    if len(samples) < FEW_SAMPLES:
        yield f"{_WHERE}: {len(samples)} samples only; {FEW_SAMPLES} or more give steadier scales and gains"


def check_variety(samples: NDArray[Any], least: int = 2, where: str = _WHERE) -> None:
    """Raise DataError for fewer samples than `least`, or samples that are all the same."""
    if len(samples) < least:
        hint = "a few hundred samples are usual"
        raise DataError("too few samples", where=where, found=len(samples), limit=least, hint=hint)
    if _all_alike(samples):
        hint = "give samples that look like real inputs"
        raise DataError("all samples are the same", where=where, found=f"{len(samples)} equal samples", hint=hint)


def _all_alike(samples: NDArray[Any]) -> bool:
    return len(samples) > 1 and bool(np.all(samples == samples[:1]))


def check_labels(labels: NDArray[Any], samples: int, classes: int, where: str) -> None:
    """Raise DataError unless `labels` are one class 0..classes - 1 for each sample."""
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} {labels.shape}"
        raise DataError("labels are one integer for each sample", where=where, found=found, limit=f"({samples},)")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        found = f"{labels.min()}..{labels.max()}"
        raise DataError("labels beyond the network's outputs", where=where, found=found, limit=f"0..{classes - 1}")


def too_late(network: Network, lowered: Network, steps: int) -> Iterator[str]:
    """A remark on the first layer that gets its first spike after the input has ended, on chips with latency."""
    for population in network.order() or ():
        late = replace(lowered, outputs=(population.name,)).latency()
        if not population.is_input and late >= steps:
            yield (
                f"{population.name}: its first input arrives at step {late}, after the {steps} input steps; "
                "the network is deeper than the run is long: use more steps"
            )
            return


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))

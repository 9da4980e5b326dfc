"""Runs an imported network in float32, a few samples at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Shape

Samples = NDArray[Any] | Mapping[str, NDArray[Any]]
"""Samples `[N, *shape]`: one array, or one for each source by its name."""

_LIVE_BYTES = 1 << 27
_LARGEST_BATCH = 1024


def run(
    graph: AnnGraph, samples: Samples, keep: Iterable[str] | None = None, *, batch: int | None = None
) -> dict[str, Array]:
    """Results of the network for all samples.

    Args:
        graph: from an importer.
        samples: `[N, *shape]` of any real type, or a mapping of source names to such
            arrays. Where a source is `(C, 1, L)`, `[N, C, L]` is accepted too.
        keep: names of the nodes whose results are wanted; by default the output's.
        batch: samples computed at once; by default as many as 128 MiB of
            intermediate results allow.

    Returns:
        float32 `[N, *shape]` for every name in `keep`.

    Raises:
        DataError: for no samples, NaN or infinity, or samples of unknown sources.
        ShapeError: for samples of another shape than the source's.
        UsageError: for a name in `keep` that is no node, or a batch below 1.
    """
    parts = list(iterate(graph, samples, keep, batch=batch))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def iterate(
    graph: AnnGraph, samples: Samples, keep: Iterable[str] | None = None, *, batch: int | None = None
) -> Iterator[dict[str, Array]]:
    """The results of `run` batch by batch, so that no more than one batch is held.

    Faults of shape and naming are raised by the call, NaN by the batch that has it.
    """
    names = tuple(keep) if keep is not None else (graph.output,)
    unknown = [name for name in names if name not in graph.shapes]
    if unknown:
        raise UsageError("no such node in the network", where=graph.name, found=unknown, limit=list(graph.shapes))
    if batch is not None and batch < 1:
        raise UsageError("a batch holds at least one sample", found=batch)
    arrays = _by_source(graph, samples)
    return _batches(graph, arrays, names, batch or _batch_size(graph, names))


def _batches(
    graph: AnnGraph, arrays: dict[str, NDArray[Any]], names: tuple[str, ...], batch: int
) -> Iterator[dict[str, Array]]:
    released = _released_after(graph, names)
    count = len(next(iter(arrays.values())))
    for start in range(0, count, batch):
        live = {name: _finite(name, array[start : start + batch], start) for name, array in arrays.items()}
        for node in graph.nodes:
            operands = [live[name] for name in (node.inputs or (node.name,))]
            live[node.name] = node.operation.run(operands)
            for name in released[node.name]:
                del live[name]
        yield {name: live[name] for name in names}


def _released_after(graph: AnnGraph, keep: tuple[str, ...]) -> dict[str, list[str]]:
    """For every node, the results that nothing needs once it has been computed."""
    last_use = {node.name: node.name for node in graph.nodes}
    last_use.update({name: node.name for node in graph.nodes for name in node.inputs})
    released: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for name, user in last_use.items():
        if name not in keep:
            released[user].append(name)
    return released


def _batch_size(graph: AnnGraph, keep: tuple[str, ...]) -> int:
    """How many samples keep all results that live at the same time within bounds."""
    released = _released_after(graph, keep)
    live = largest = 0
    for node in graph.nodes:
        live += math.prod(graph.shapes[node.name])
        largest = max(largest, live)
        live -= sum(math.prod(graph.shapes[name]) for name in released[node.name])
    return max(1, min(_LARGEST_BATCH, _LIVE_BYTES // (4 * largest)))


def _by_source(graph: AnnGraph, samples: Samples) -> dict[str, NDArray[Any]]:
    """The samples of each source as `[N, *shape]`, all with the same N above 0."""
    shapes = {node.name: graph.shapes[node.name] for node in graph.sources}
    if not isinstance(samples, Mapping):
        if len(shapes) != 1:
            raise DataError("the network has several inputs", hint=f"give a mapping of {sorted(shapes)} to arrays")
        samples = dict.fromkeys(shapes, samples)
    if set(samples) != set(shapes):
        raise DataError("samples and inputs differ", where=graph.name, found=sorted(samples), limit=sorted(shapes))
    arrays = {name: _shaped(name, np.asarray(array), shapes[name]) for name, array in samples.items()}
    counts = {len(array) for array in arrays.values()}
    if counts == {0} or len(counts) > 1:
        what = "no samples" if counts == {0} else "inputs have different numbers of samples"
        raise DataError(what, where=graph.name, found={name: len(array) for name, array in arrays.items()})
    return arrays


def _shaped(name: str, array: NDArray[Any], shape: Shape) -> NDArray[Any]:
    if array.dtype.kind not in "buif":
        raise DataError("samples are real numbers", where=f"input {name!r}", found=array.dtype)
    one_dimensional = len(shape) == 3 and shape[1] == 1
    if one_dimensional and array.shape[1:] == (shape[0], shape[2]):
        return array[:, :, None, :]
    if array.shape[1:] != shape or array.ndim == 0:
        wanted = ", ".join(map(str, ("N", *shape)))
        hint = "put a sample axis in front" if array.shape == shape else None
        raise ShapeError(
            "samples do not fit the input", where=f"input {name!r}", found=array.shape, limit=f"({wanted})", hint=hint
        )
    return array


def _finite(name: str, part: NDArray[Any], start: int) -> Array:
    """One batch in float32, proven free of NaN and infinity."""
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, refused below
        values = part.astype(np.float32, copy=False)
    good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not good.all():
        sample = start + int(np.argmin(good))
        raise DataError("samples hold NaN or infinity", where=f"input {name!r}", found=f"sample {sample}")
    return values

"""Recorded address rules: what one spike of each source neuron adds to the ring buffers of each target.

A map is `[H, W, 2, *target]`: source row and column, excitatory or inhibitory, target. Kernels (`_kernel_q`) and
matrices (`_q`) are integers q of real weight q / 256, at ring-buffer shift 1.
"""

from __future__ import annotations

import numpy as np

from nmdeploy.conformance import ConformanceReport
from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.linear_maps import Pair
from nmdeploy.network import Projection
from nmdeploy.synapses import Conv2d, SumPool2d
from targets.spinnaker.conformance.vectors import Vectors
from targets.spinnaker.fixed_point import Integers
from targets.spinnaker.local_only import (
    connector_kernel,
    convolution_map,
    is_plain_convolution,
    pool_dense_map,
)
from targets.spinnaker.ring_buffer import kernel_weights

CONVOLUTION, POOL_DENSE = "_kernel_q", "_q"
"""A file with arrays of these endings holds maps."""
SHIFT = 1
_UNIT = 256


def replay_convolutions(report: ConformanceReport, vectors: Vectors) -> None:
    """Compare the address rule with every map, and nmdeploy's own layer where the rule says that it is one."""
    for name in vectors.names(CONVOLUTION):
        meta = vectors.integers(f"{name}_meta", 9)
        if meta[0] < 0 or min(meta[1:3]) < 1:
            raise DataError(f"{name}: padding, stride or pool out of range", where=str(vectors.path), found=meta[:3])
        padding, stride, pool = ((int(value), int(value)) for value in meta[:3])
        post_shape = (int(meta[8]), int(meta[7]))
        expected = _signed(vectors, name, *post_shape)
        pre_shape = expected.shape[:2]
        kernel = _stored(vectors.integers(name + CONVOLUTION, None, None), pool)
        geometry = (padding, stride, pool)
        found = convolution_map(kernel, pre_shape, post_shape, *geometry)
        report.compare_values(vectors.file, name, "weights added by a spike", expected, found)
        if is_plain_convolution(pre_shape, post_shape, kernel.shape, *geometry):
            layer = _layer_map(connector_kernel(kernel), pre_shape, padding, pool)
            report.compare_values(vectors.file, name, "weights of the layer", expected, layer)
        report.nets += 1


def replay_pool_dense(report: ConformanceReport, vectors: Vectors) -> None:
    """Compare the address rule with every map."""
    for name in vectors.names("_meta"):
        window = int(vectors.integers(f"{name}_meta", 3)[0])
        if window < 1:
            raise DataError(f"{name}: a pool window has a size of at least 1", where=str(vectors.path), found=window)
        matrix = _stored(vectors.integers(name + POOL_DENSE, None, None), (window, window))
        expected = _signed(vectors, name, matrix.shape[1])
        try:
            found = pool_dense_map(matrix, expected.shape[:2], (window, window))
        except (NmdeployError, IndexError) as error:
            raise DataError(f"{name}: matrix, window and map do not go together", where=str(vectors.path)) from error
        report.compare_values(vectors.file, name, "weights added by a spike", expected, found)
        report.nets += 1


def _signed(vectors: Vectors, name: str, *target: int) -> Integers:
    """The map with inhibitory weights below 0; no synapse adds to both buffers.

    Raises:
        DataError: where one does.
    """
    recorded = vectors.integers(f"{name}_map", None, None, 2, *target)
    exc, inh = recorded[:, :, 0], recorded[:, :, 1]
    if np.any((exc != 0) & (inh != 0)) or np.any(recorded < 0):
        raise DataError(f"{name}_map is no map of single synapses", where=str(vectors.path))
    return exc - inh


def _stored(units: Integers, pool: Pair) -> Integers:
    """Raw weights as the host makes them; it divides by the pool's area first."""
    return kernel_weights(units / _UNIT / (pool[0] * pool[1]), SHIFT)


def _layer_map(kernel: Integers, pre_shape: Pair, padding: Pair, pool: Pair) -> Integers:
    """The same map from nmdeploy's sum pooling and convolution."""
    top, left = padding
    layer = Conv2d(kernel[np.newaxis, np.newaxis], padding=(top, top, left, left))
    projection = Projection("source", "target", (SumPool2d(pool), layer))
    shape = (1, *pre_shape)
    _, height, width = projection.shapes(shape)[-1]
    return np.asarray(projection.matrix(shape).toarray().T.reshape(*pre_shape, height, width), dtype=np.int64)

"""Where the bounds of activations start. Imports torch, like `modules`."""

from __future__ import annotations

from typing import Any

import torch

from nmdeploy.convert.normalize import Scale, scale_of
from nmdeploy.convert.statistics import Distribution

PERCENTILE = 99.9
"""Bounds start at this percentile of the rectified activations on the calibration data, zeros included."""
_BATCH = 100
"""Samples at a time."""


class _Watch(torch.fx.Interpreter):  # type: ignore[misc]
    """Runs a traced network and keeps the distributions of some of its nodes' values."""

    def __init__(self, traced: Any, nodes: list[Any]) -> None:
        super().__init__(traced)
        self.seen = {node: Distribution() for node in nodes}

    def run_node(self, n: Any) -> Any:
        value = super().run_node(n)
        if n in self.seen:
            self.seen[n].add(value.cpu().numpy())
        return value


def first_bounds(traced: Any, nodes: list[Any], samples: Any) -> list[Scale]:
    """A bound for each activation, see `PERCENTILE`, with a remark where it means little.

    Args:
        traced: the network, its activations as they were trained.
        nodes: the activations.
        samples: tensor `[N, *shape]` on the network's device.
    """
    watch = _Watch(traced, nodes)
    with torch.no_grad():
        for part in samples.split(_BATCH):
            watch.run(part)
    return [scale_of(distribution, PERCENTILE) for distribution in watch.seen.values()]

"""Events that reach each layer in a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.result import Result
from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from targets.dynapcnn.link import Link, links


@dataclass(frozen=True)
class Arrivals:
    """Events into one layer; a core that holds part of it gets all of them.

    Attributes:
        events: of the whole run, all samples together.
        busiest: the most of one step of one sample; None when the run did not keep every step.
    """

    events: int
    busiest: int | None


def arrivals(network: Network, result: Result) -> dict[str, Arrivals]:
    """Events into every layer, by population. Those that pooling cuts off are none.

    Raises:
        UsageError: when the run does not tell how often each neuron fired.
    """
    return {
        population.name: _into(network, population.name, result)
        for population in network.populations
        if not population.is_input
    }


def _into(network: Network, name: str, result: Result) -> Arrivals:
    entering = links(network, name) or []
    by_step = [_kept(link, result.spikes.get(link.projection.source)) for link in entering]
    steps = [kept.sum(axis=(2, 3, 4)) for kept in by_step if kept is not None and len(kept) == result.steps]
    if len(steps) == len(entering):
        together = np.sum(steps, axis=0)
        return Arrivals(int(together.sum()), int(together.max(initial=0)))
    return Arrivals(sum(_counted(link, result) for link in entering), None)


def _counted(link: Link, result: Result) -> int:
    source = link.projection.source
    kept = _kept(link, None if source not in result.counts else result.counts[source][None])
    if kept is None:
        hint = "record the spikes of every neuron: Recording(counts=('*',))"
        raise UsageError("the run does not tell how often each neuron fired", where=source, hint=hint)
    return int(kept.sum())


def _kept(link: Link, spikes: NDArray[Any] | None) -> NDArray[np.int64] | None:
    """Spikes `[T, N, c, h, w]` of a link's source, without the rows and columns that pooling cuts off."""
    if spikes is None:
        return None
    height, width = link.covered
    laid = spikes.reshape(*spikes.shape[:2], *link.sent)
    return laid[..., :height, :width].astype(np.int64)

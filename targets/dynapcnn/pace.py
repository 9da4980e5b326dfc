"""How fast a board is sent the events of a deployment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nmdeploy.coding import Clocked
from nmdeploy.deployment import Deployment
from nmdeploy.network import Network
from targets.dynapcnn.chips import chips
from targets.dynapcnn.event_arrays import STEP_US, Events

SHARE = 0.5
"""Of a step, in which its events are sent; in the rest the chip gets done with them."""


@dataclass(frozen=True)
class Pace:
    """When events are sent.

    Attributes:
        step_us: length of a time step, in microseconds.
        apart_us: from one event of a step to the next; 0 sends all of them at its beginning.
    """

    step_us: int = STEP_US
    apart_us: float = 0.0

    @classmethod
    def of(cls, deployment: Deployment, step_us: int | None = None) -> Pace:
        """The pace of a deployment.

        Exact mode stands on steps that are over before the next one begins, and on no event being
        lost: a step lasts twice as long as the most events that a core can get in one take one after
        the other, by the published latency of an event in one layer (modelled), and they are spread over half of it.

        Args:
            deployment: of a chip of the family.
            step_us: length of a step that the user wants; None for `STEP_US`, in exact mode as long as it takes.
        """
        if not isinstance(deployment.encoder, Clocked):
            return cls(STEP_US if step_us is None else step_us)
        busiest = max(_events(deployment.network, deployment.encoder))
        if step_us is None:
            step_us = max(STEP_US, math.ceil(busiest * _latency_us(deployment.chip) / SHARE))
        return cls(step_us, SHARE * step_us / busiest)

    def timed(self, events: Events) -> Events:
        """Events in the order in which they are sent, whose times are those of their steps, one behind the other."""
        later = events.copy()
        places = np.arange(len(events)) - np.searchsorted(events["t"], events["t"])
        later["t"] += np.floor(places * self.apart_us).astype(np.int64)
        return later


def _events(network: Network, encoder: Clocked) -> Iterator[int]:
    """The most events of one step into each core: those of clocks, or one of every neuron of its sources."""
    for population in network.populations:
        if not population.is_input:
            sources = [projection.source for projection in network.into(population.name)]
            trains = [encoder.clocks[name] for name in sources if name in encoder.clocks]
            clocked = sum(train.reshape(len(train), -1).sum(axis=1, dtype=np.int64) for train in trains)
            yield int(np.max(clocked))
            yield sum(network[name].size for name in sources if name not in encoder.clocks)


def _latency_us(chip: str) -> float:
    """Of an event in one layer, as published for Speck, in microseconds."""
    figures = chips()[chip].figures
    return float(figures.get("one_layer_latency", chips()["speck2f"].figures["one_layer_latency"]).value)

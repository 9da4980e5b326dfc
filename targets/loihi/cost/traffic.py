"""Spikes on their way: packets from core to core, and the tile hops they take.

Each spike of a neuron goes once to every core on which it has a synapse, its own core
included; parallel projections into one core share the packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from targets.loihi.cost.mesh import Mesh
from targets.loihi.cost.wiring import Wiring, drive

Counts = NDArray[np.int64]
Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Traffic:
    """Deliveries of a run.

    Attributes:
        from_host: input spikes, once for each core that they reach.
        between_cores: spikes of cores, once for each core that they reach.
        between_chips: those of them that leave their chip.
        within_tile: those of them that stay in their tile; None where the mesh is not known.
        east_west, north_south: tile hops of those that stay on their chip; None likewise.
    """

    from_host: int
    between_cores: int
    between_chips: int
    within_tile: int | None
    east_west: int | None
    north_south: int | None

    @property
    def on_chip(self) -> int:
        """Deliveries from core to core of one chip."""
        return self.between_cores - self.between_chips

    @classmethod
    def of(cls, wiring: Wiring, spikes: Mapping[str, Counts], mesh: Mesh | None) -> Traffic:
        """The traffic of a run's spikes by population, `[neurons]`."""
        host = sum(
            int(drive(reached, spikes[name]).sum())
            for name, reached in wiring.reached.items()
            if name not in wiring.homes
        )
        packets = _packets(wiring, spikes)
        same_chip = same_chips(wiring)
        crossing = int(packets[~same_chip].sum())
        if mesh is None:
            return cls(host, int(packets.sum()), crossing, None, None, None)
        east_west, north_south = mesh.hops(wiring.places)
        local = same_chip & (east_west + north_south == 0)
        hops = (int((packets * each)[same_chip].sum()) for each in (east_west, north_south))
        return cls(host, int(packets.sum()), crossing, int(packets[local].sum()), *hops)


def same_chips(wiring: Wiring) -> NDArray[np.bool_]:
    """Whether two cores are on one chip, `[cores, cores]`."""
    chips = np.array([chip for chip, _ in wiring.places])
    return np.asarray(chips[:, None] == chips)


def _packets(wiring: Wiring, spikes: Mapping[str, Counts]) -> Counts:
    """Deliveries from core to core, `[from, to]`."""
    cores = len(wiring.places)
    packets = np.zeros(cores * cores, dtype=np.int64)
    for name in wiring.homes.keys() & wiring.reached.keys():
        to, neurons = wiring.reached[name].nonzero()
        way = wiring.core_of(name)[neurons] * cores + to
        packets += np.bincount(way, spikes[name][neurons], cores * cores).astype(np.int64)
    return packets.reshape(cores, cores)


def deliveries(wiring: Wiring, seconds: Callable[[Counts, Counts], Seconds], mesh: Mesh) -> dict[str, Seconds]:
    """By placed population, the seconds that one spike of each neuron takes to all its cores, one after the other.

    Args:
        wiring: the placed network.
        seconds: time of a delivery by its hops east-west and north-south.
        mesh: where cores lie. What leaves the chip is left out: its time is not published.
    """
    times = np.where(same_chips(wiring), seconds(*mesh.hops(wiring.places)), 0.0)
    found = {}
    for name in wiring.homes.keys() & wiring.reached.keys():
        to, neurons = wiring.reached[name].nonzero()
        each = times[wiring.core_of(name)[neurons], to]
        found[name] = np.bincount(neurons, each, wiring.homes[name].shape[1]).astype(np.float64)
    return found

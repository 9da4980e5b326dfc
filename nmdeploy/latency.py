"""Chips on which every synapse layer takes a time step: what delays keep all paths in time."""

from __future__ import annotations

from dataclasses import replace

from nmdeploy.network import Network

LATENCY = 1
"""Steps a spike needs from one population to the next, at least."""


def lateness(network: Network) -> dict[str, int] | None:
    """By how many steps each population lags behind the ideal network, the least possible.

    A projection of delay d from s to t leaves time for its latency when
    lateness(t) >= lateness(s) + 1 - d. Inputs are on time.

    Returns:
        None when a loop has less delay than layers, so that it cannot keep its time.
    """
    late = {population.name: 0 for population in network.populations}
    for _ in network.populations:
        changed = False
        for projection in network.projections:
            needed = late[projection.source] + LATENCY - projection.delay
            if needed > late[projection.target]:
                late[projection.target], changed = needed, True
        if not changed:
            return late
    return None


def relative_delays(network: Network) -> tuple[list[int], bool]:
    """Delays on the chip, one for each projection, and whether the ideal network's timing is kept.

    Every projection gets at least one step. Where paths of different length meet (a
    residual branch), the shorter one is delayed, so that spikes of the same input step
    still arrive together. Where a loop makes that impossible, each delay grows by one.
    """
    late = lateness(network)
    if late is None:
        return [projection.delay + LATENCY for projection in network.projections], False
    return [p.delay + late[p.target] - late[p.source] for p in network.projections], True


def with_layer_latency(network: Network) -> tuple[Network, bool]:
    """The network with the delays of `relative_delays`, schedules as late as their populations.

    Where timing is not kept, nothing is promised any longer.
    """
    delays, in_time = relative_delays(network)
    late = lateness(network)
    populations = tuple(
        each
        if each.schedule is None
        else replace(each, schedule=None if late is None else each.schedule.later(late[each.name]))
        for each in network.populations
    )
    projections = tuple(replace(each, delay=delay) for each, delay in zip(network.projections, delays, strict=True))
    return replace(network, populations=populations, projections=projections), in_time

"""How much of a time step a core works: what its neurons take, and what synapses can take."""

from __future__ import annotations

from collections.abc import Sequence

from nmdeploy.network import Network
from nmdeploy.schedule import coincidences
from nmdeploy.target import Chip
from targets.spinnaker.mapper.wiring import Incoming


def tick_instructions(neurons: int, chip: Chip) -> int:
    """Instructions of updating the neurons of a core in one step, spikes aside (a lower bound of its cycles)."""
    return neurons * chip.limit("neuron_instructions")


def busiest_events(network: Network, incoming: Sequence[Incoming]) -> int:
    """Synaptic events on the busiest core of a PyNN population in a step in which all sources spike that may."""
    arrivals = [(network[each.source.population].schedule, each.delay) for each in incoming]
    return max(sum(incoming[index].events for index in together) for together in coincidences(arrivals))


def events_in_time(chip: Chip) -> int:
    """Synaptic events that a core works off in one step, from the rate published for a whole board of 48 chips."""
    board = chip.figures["board_synapse_events"].value
    return int(board / (48 * chip.limit("chip_cores")) * chip.figures["time_step"].value)

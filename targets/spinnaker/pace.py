"""How much slower than real time a machine has to go, so that no core falls behind."""

from __future__ import annotations

import math

from nmdeploy.deployment import Deployment
from nmdeploy.network import Network
from nmdeploy.target import Chip
from targets.spinnaker.chips import chips
from targets.spinnaker.mapper.load import busiest_events, events_in_time, tick_instructions
from targets.spinnaker.mapper.wiring import Wiring


def sufficient_time_scale_factor(deployment: Deployment) -> int:
    """`sufficient_factor` of a deployment's network on its board."""
    return sufficient_factor(deployment.network, chips()[deployment.chip])


def sufficient_factor(network: Network, chip: Chip) -> int:
    """A time_scale_factor that is enough whatever spikes on schedule: each core then works off what a step brings.

    By the published rate of synaptic events and the counted instructions of an update, see `mapper.load`.
    """
    wiring, factor = Wiring(network), 1
    for name, parts in wiring.populations.items():
        if network[name].is_input:
            continue
        events = max(busiest_events(network, wiring.incoming[part.label]) for part in parts)
        work = max(tick_instructions(part.atoms_per_core, chip) for part in parts)
        synapses, update = events / events_in_time(chip), work / chip.limit("tick_instructions")
        factor = max(factor, math.ceil(synapses + update))
    return factor

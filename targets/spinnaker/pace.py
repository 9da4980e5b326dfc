"""How much slower than real time a machine has to go, so that no core falls behind."""

from __future__ import annotations

import math

from nmdeploy.deployment import Deployment
from targets.spinnaker.chips import chips
from targets.spinnaker.mapper.load import busiest_events, events_in_time, tick_instructions
from targets.spinnaker.mapper.wiring import Wiring


def sufficient_time_scale_factor(deployment: Deployment) -> int:
    """A time_scale_factor that is enough whatever spikes: at which each core works off what one step can bring.

    By the published rate of synaptic events and the counted instructions of an update, see `mapper.load`.
    """
    chip, wiring = chips()[deployment.chip], Wiring(deployment.network)
    factor = 1
    for name, parts in wiring.populations.items():
        if deployment.network[name].is_input:
            continue
        events = max(busiest_events(wiring.incoming[part.label]) for part in parts)
        work = max(tick_instructions(part.atoms_per_core, chip) for part in parts)
        synapses, update = events / events_in_time(chip), work / chip.limit("tick_instructions")
        factor = max(factor, math.ceil(synapses + update))
    return factor

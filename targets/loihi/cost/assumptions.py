"""What the cost of an inference takes for granted or leaves out, told with the numbers."""

from __future__ import annotations

from nmdeploy.target import Chip
from targets.loihi.cost.wiring import Wiring

_EVENTS = (
    "Synaptic operations: at least those of weights other than zero, at most those of every synapse.",
    "Active neuron updates: at least where the neuron fires, at most every update of a neuron that has a bias, "
    "an initial state or received a spike; published sources do not define them.",
    "A spike goes once to every core on which it has synapses.",
)
_COEFFICIENTS = (
    "Coefficients were simulated before silicon at 0.75 V; the energy of a synaptic operation is the published "
    "minimum, its time the published maximum.",
    "A step lasts as long as its slowest core and a barrier: at least with spikes travelling while cores compute, "
    "at most with every core waiting for each of its spikes to arrive.",
    "Tiles of 4 cores in a mesh of 8 x 4, filled in order of the core's index, are an estimate; a spike that stays "
    "in its tile takes the energy within a tile, one that travels takes its hops, and at most both.",
    "The barrier is published for 1 and for 32 tiles; between them it is taken as that range.",
    "Static power is an estimate, for whole chips, as long as the inference lasts.",
)
_UNKNOWN = "No energy or time of single operations of this chip has been published: events only."
_HOST = "Left out, because nothing is published: the host, the chip's x86 processors, input and output of spikes."
_CHIPS = "{} chips: what spikes between chips and the barrier across chips take is not published and is left out."
_PAIRS = "Reset by subtraction takes {} compartments a neuron, and one synaptic operation more for each spike."
_TOTALS = "The run did not keep every step, so the slowest core of each step is bounded from the totals of the cores."


def assumptions(chip: Chip, wiring: Wiring, known_steps: bool, timed: bool) -> tuple[str, ...]:
    """The sentences that belong to a cost.

    Args:
        chip: the chip.
        wiring: the placed network.
        known_steps: whether the run kept every spike of every step.
        timed: whether the chip's coefficients are known.
    """
    told = [*_EVENTS, *(_COEFFICIENTS if timed else (_UNKNOWN,))]
    taken = max(wiring.compartments.values())
    told += [_PAIRS.format(taken)] if taken > 1 else []
    chips = len({place for place, _ in wiring.places})
    told += [_CHIPS.format(chips)] if chips > 1 else []
    told += [_TOTALS] if timed and not known_steps else []
    return (*told, _HOST)

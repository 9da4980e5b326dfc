"""How far an emulation holds on the chip, and the candidates for what nobody has published.

Classes and reasons follow what is public of the chip: it takes event after event, without
time steps (sinabs 3.1.3, docs/speck/specksim.md, dangers.md), fires at most once an event
(faqs/tips_for_training.md), and joins the events of two sources by an asynchronous merge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nmdeploy.coding import Clocked
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.network import Network, Population
from nmdeploy.target import Exactness, Grade
from targets.dynapcnn.link import link
from targets.dynapcnn.neuron import NO_FLOOR, STATE, WEIGHT, SpeckIAF
from targets.dynapcnn.order_free import order_free

ORDERS = ("yxc", "cyx", "xyc", "cxy", "ycx", "xcy")
"""Orders in which the neurons that one event reaches may fire, the likeliest first: that of the neurons' addresses,
row, column, then channel in the lowest bits (sinabs 3.1.3, backend/dynapcnn/io.py, calculate_neuron_address)."""
REVERSED = "destinations reversed"
"""A further candidate: where events of several sources meet, that of the later destination goes first."""
DRAINED = (
    "no order of events changes what layers in exact mode do, whatever the input: proven from weights, initial "
    "potentials and clocks, for a chip that is done with each step's events before the next step's are sent"
)
STEPS = (
    "time steps are sinabs' simulation, and the chip has none: its neurons fire in the middle of a step, more often "
    "where inhibition comes late; the profile 'chip' emulates the chip"
)


def exactness(deployment: Deployment) -> Exactness:
    """The class of a deployment, with every reason why it is not a better one.

    A: a single core, or layers whose counts no order can change. B: exact but for the
    order of firing inside one event, or for a policy that is not published. C: events of
    several sources merge, a layer is split over cores, or a slow clock ticks; and, since it
    is not the chip, a simulation in time steps. Layers of exact mode whose spikes are proven to
    hang on no order (`order_free`) are A whatever meets in them.
    """
    network, encoder = deployment.network, deployment.encoder
    populations = [p for p in network.order() or network.populations if not p.is_input]
    layers = [_Layer.of(network, p.name, p.neuron) for p in populations if isinstance(p.neuron, SpeckIAF)]
    if len(layers) < len(populations):
        return Exactness(Grade.NOT_REPRODUCIBLE, (STEPS,))
    proven = order_free(network, encoder, encoder.steps) if isinstance(encoder, Clocked) else frozenset()
    layers = [layer for layer in layers if layer.name not in proven]
    chance = list(_chance(network, layers, deployment.placement))
    unpublished = [reason for layer in layers for reason in _policies(layer)] + _order(network, layers)
    unpublished += _cut_off(network)
    provisos = (DRAINED,) * bool(proven)
    if chance:
        return Exactness(Grade.NOT_REPRODUCIBLE, (*chance, *unpublished, *provisos))
    grade = Grade.UP_TO_ORDER if unpublished else Grade.EXACT
    return Exactness(grade, (*unpublished, *provisos))


def orders(network: Network) -> Mapping[str, Network]:
    """The network under each candidate order, its own first; none for a simulation in time steps."""
    neurons = [p.neuron for p in network.populations if p.neuron is not None]
    own = {neuron.order for neuron in neurons if isinstance(neuron, SpeckIAF)}
    if not all(isinstance(neuron, SpeckIAF) for neuron in neurons):
        return {}
    default = " or ".join(sorted(own))
    found = {default: network} | {order: _fired_in(network, order) for order in ORDERS if order != default}
    if any(len(_sources(network, p.name)) > 1 for p in network.populations):
        found[REVERSED] = replace(network, projections=tuple(reversed(network.projections)))
    return found


def _fired_in(network: Network, order: str) -> Network:
    def ordered(population: Population) -> Population:
        neuron = population.neuron
        return replace(population, neuron=replace(neuron, order=order)) if isinstance(neuron, SpeckIAF) else population

    return replace(network, populations=tuple(map(ordered, network.populations)))


def _sources(network: Network, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(projection.source for projection in network.into(name)))


@dataclass(frozen=True)
class _Layer:
    """A population as one core has it, with the lowest and the largest weight that enters it."""

    name: str
    neuron: SpeckIAF
    sources: tuple[str, ...]
    lowest: int
    largest: int

    @classmethod
    def of(cls, network: Network, name: str, neuron: SpeckIAF) -> _Layer:
        found = [s.weight for p in network.into(name) for s in p.synapses if s.weight is not None]
        ends = [(int(weight.min()), int(weight.max())) for weight in found] or [(1, 1)]
        lowest, largest = min(low for low, _ in ends), max(high for _, high in ends)
        return cls(name, neuron, _sources(network, name), lowest, largest)

    @property
    def threshold(self) -> int:
        return int(np.min(self.neuron.threshold_high))

    @property
    def floor(self) -> int:
        return int(np.max(self.neuron.threshold_low))

    @property
    def begins_within(self) -> bool:
        """Whether no initial potential is at the threshold or below the floor."""
        v_init = self.neuron.v_init
        return bool(np.all(np.less(v_init, self.threshold)) and np.all(np.greater_equal(v_init, self.floor)))

    @property
    def order_is_idle(self) -> bool:
        """Whether counts and potentials are the same for any order of events.

        So it is where nothing inhibits, a spike takes off the threshold, and no event can lift
        a potential by more than that: counts are floor((v_init + sum of weights) / threshold).
        """
        if self.neuron.return_to_zero or np.any(self.neuron.leak):
            return False
        room = int(np.max(self.neuron.threshold_high)) + self.largest - 1 <= STATE.maximum
        return self.lowest >= 0 and 0 < self.threshold >= self.largest and room and self.begins_within


def _chance(network: Network, layers: list[_Layer], placement: Placement) -> Iterator[str]:
    """What the chip need not do the same way twice."""
    mixed: set[str] = set()  # layers whose events come in an order of chance
    for layer in layers:
        # What the host sends, it sends in an order of its own.
        senders = sum(max(1, len(placement.of(name))) for name in layer.sources if not network[name].is_input)
        senders += any(network[name].is_input for name in layer.sources)
        if senders > 1 or mixed.intersection(layer.sources):
            mixed.add(layer.name)
            if not layer.order_is_idle:
                where = "meet in it" if senders > 1 else "met in a layer before it"
                yield (
                    f"{layer.name}: events of several cores {where}, by an arbiter that keeps no order; a chain of "
                    "layers, each on one core, avoids it"
                )
        if np.any(layer.neuron.leak):
            yield (
                f"{layer.name}: the leak ticks with a slow clock, which nothing binds to the input; a network without "
                "biases needs none"
            )


def _policies(layer: _Layer) -> Iterator[str]:
    """Where what happens depends on a policy that is not published; see `SpeckIAF`."""
    if layer.largest > layer.threshold and not layer.neuron.return_to_zero:
        yield (
            f"{layer.name}: a weight of {layer.largest} is above the threshold of {layer.threshold}, so that a "
            "potential can stay above it, and whether an event of weight 0 or below fires then is not published"
        )
    if int(np.max(layer.neuron.threshold_high)) + WEIGHT.maximum > STATE.maximum:
        yield f"{layer.name}: potentials can leave 16 bits, and it is not published whether they saturate or wrap"
    if layer.lowest < 0 and layer.floor < NO_FLOOR:
        yield f"{layer.name}: potentials can fall below 16 bits, and it is not published whether they saturate or wrap"
    if layer.lowest < 0 and layer.floor > NO_FLOOR:
        yield (
            f"{layer.name}: the floor of {layer.floor} is taken to hold for events, as in sinabs; samna's words are "
            "that leak does not pass it"
        )
    if not layer.begins_within:
        yield f"{layer.name}: an initial potential at the threshold or below the floor, of which little is published"


def _cut_off(network: Network) -> list[str]:
    """Where events have no address in the next map."""
    return [
        f"{each.projection.name}: pooling leaves rows or columns over, and what the chip does with their events is not "
        "published; they are taken to be lost, as in sinabs"
        for each in (link(network, projection) for projection in network.projections)
        if each is not None and each.covered != each.sent[1:]
    ]


def _order(network: Network, layers: list[_Layer]) -> list[str]:
    """Why the order inside one event matters, if it does: for the layers behind the first."""
    behind = [layer for layer in layers if not all(network[name].is_input for name in layer.sources)]
    depends = [layer.name for layer in behind if not layer.order_is_idle]
    if not depends:
        return []
    return [
        f"{', '.join(depends)}: the order in which the neurons that one event reaches fire is not published; the "
        "emulator fires them by address (row, column, channel), and 'nmdeploy run --orders' shows how much hangs on it"
    ]

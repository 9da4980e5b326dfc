"""Emulation of a stream of single events, for chips without time steps.

Rasters go through `nmdeploy.emulate`; `event_reference.py` defines what happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import Deployment
from nmdeploy.emulator.event_kernel import EventOverflow
from nmdeploy.emulator.event_network import check_event_network, is_event_driven, rule_of, ticks
from nmdeploy.emulator.event_order import InputEvents, coordinates, stream_inputs
from nmdeploy.emulator.event_reference import TICK
from nmdeploy.emulator.event_run import Machine, machines, tell_overflow
from nmdeploy.emulator.result import ALL
from nmdeploy.errors import UsageError
from nmdeploy.network import Network

Array = NDArray[Any]
SENT = np.dtype([("x", "<i4"), ("y", "<i4"), ("p", "<i4"), ("t", "<i8"), ("cause", "<i8")])
"""An event that a population sent: column, row and channel of the neuron; number in the stream of the input event
that caused it, and that event's time. Where a tick of the slow clock caused it: `TICK`, and the tick's time."""


@dataclass(frozen=True)
class Stream:
    """What a network did with a stream of events.

    Attributes:
        events: by population, structured array of dtype `SENT`, in the order in which it sent them.
        potentials: by population, int64 `[*shape]`, at the end.
        origin: what ran.
    """

    events: Mapping[str, Array]
    potentials: Mapping[str, Array]
    origin: str


def emulate_events(
    network: Network | Deployment,
    events: Array,
    *,
    tick: int | None = None,
    record: tuple[str, ...] | None = None,
    engine: str = "fast",
) -> Stream:
    """Run an event-driven network on a stream of single events, in the order given, from a fresh state.

    Times play no part but for ticks: event by event, order is everything. What comes out
    can be held against a board's events one by one.

    Args:
        network: a network of one input, or a deployment of one.
        events: structured array with integer fields `x`, `y`, `p` (channel) and, for `tick` and
            the times of what comes out, `t`. A population `(N,)` has N channels of one pixel.
        tick: time between two ticks of the slow clock, in the unit of `t`: the k-th comes
            before the first event of time k * tick or later, and one more at the end. Needed where
            neurons have a leak.
        record: populations whose events are wanted; None for the outputs, `("*",)` for all that have neurons.
        engine: `fast`, `compiled` or `reference`.

    Raises:
        UsageError: for a network with time steps, several inputs, unknown populations, or a leak without `tick`.
        NetworkError: for what has no meaning event by event.
        DataError: for other arrays, events outside the input, or time that runs backwards.
        EmulationOverflow: where a format's rule is `raise`; its step counts ticks.
    """
    plain = network.network if isinstance(network, Deployment) else network
    if not is_event_driven(plain):
        raise UsageError("the network's neurons have time steps, it takes no single events", where=plain.name)
    check_event_network(plain)
    names = _recorded(plain, record)
    clocked = [p.name for p in plain.populations if not p.is_input and ticks(rule_of(p))]
    if clocked and tick is None:
        raise UsageError("neurons leak at the ticks of a slow clock", where=clocked[0], hint="pass tick=")
    given = stream_inputs(plain, events, tick)
    make, origin = machines(plain, engine, block=1, counts_fit=False)
    machine = make()
    sent = _run(plain, machine, given, names, tick or 0)
    times = events["t"].astype(np.int64) if "t" in (events.dtype.names or ()) else np.zeros(len(events), np.int64)
    for record_of in sent.values():
        caused = record_of["cause"] != TICK
        record_of["t"][caused] = times[record_of["cause"][caused]]
    return Stream(sent, {name: machine.potential(name).astype(np.int64) for name in names}, origin)


def _run(network: Network, machine: Machine, given: InputEvents, names: tuple[str, ...], tick: int) -> dict[str, Array]:
    """All events that populations send, between one tick and the next; times are those of ticks."""
    found: dict[str, list[Array]] = {name: [] for name in names}
    source = network.inputs[0].name
    for step in range(len(given.first) - 1):
        try:
            machine.run({source: given.only(step)}, 1, step)
        except EventOverflow:
            tell_overflow(network, {source: given}, len(given.first) - 1, counts_fit=False)
        for name in names:
            neurons, causes = machine.sent(name)
            sent = np.zeros(len(neurons), SENT)
            sent["x"], sent["y"], sent["p"] = coordinates(network[name].shape, neurons)
            sent["t"], sent["cause"] = (step + 1) * tick, causes
            found[name].append(sent)
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def _recorded(network: Network, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    known = tuple(population.name for population in network.populations if not population.is_input)
    if asked == (ALL,):
        return known
    for name in asked or ():
        if name not in known:
            raise UsageError("no population to record events of", found=repr(name), limit=", ".join(known))
    return tuple(name for name in network.outputs if name in known) if asked is None else asked

"""One sample on an open board: fresh potentials, events in, events out, potentials at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .address import Map, address, addresses, is_known
from .device import Board, BoardError

Array = NDArray[Any]
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "<u2")])
"""One event: column, row, time in microseconds, channel."""
POLL_S = 0.02
"""Seconds between two looks for events."""


class Entry(NamedTuple):
    """Where an input's events enter the chip.

    Attributes:
        core: that takes them.
        pooling: of rows and columns, done by the host.
        channel: added to the channel.
        size: rows and columns of the core's input; events outside are not sent.
    """

    core: int
    pooling: tuple[int, int]
    channel: int
    size: tuple[int, int]


class Core(NamedTuple):
    """A core that is used.

    Attributes:
        core: its number.
        population: whose neurons it has.
        first: the first of the population's channels that it has.
        shape: channels, rows and columns of its neurons.
        words: of its neuron memory.
    """

    core: int
    population: str
    first: int
    shape: Map
    words: int


class Patience(NamedTuple):
    """How long to wait for a board, in seconds.

    Attributes:
        settle: for the configuration to take effect.
        reset: for written potentials to take effect; sinabs waits 0.1 s for each core.
        quiet: without an event until a sample is over.
        longest: after a sample's last input, for the board to become quiet.
        answer: for potentials that it is asked for.
    """

    settle: float
    reset: float
    quiet: float
    longest: float
    answer: float


def entering(board: Board, inputs: Mapping[str, Array], entries: Mapping[str, Sequence[Entry]]) -> list[Any]:
    """samna's events of one sample, in the order of their times.

    Args:
        board: that takes them.
        inputs: events by input, `EVENT`.
        entries: by input, where they go: each event to all of them before the next one.
    """
    rows = [(int(each["t"]), name, each) for name, events in inputs.items() for each in events]
    made = []
    for moment, name, each in sorted(rows, key=lambda row: row[0]):
        for entry in entries[name]:
            y, x = int(each["y"]) // entry.pooling[0], int(each["x"]) // entry.pooling[1]
            if y < entry.size[0] and x < entry.size[1]:
                feature = int(each["p"]) + entry.channel
                made.append(board.event("Spike", layer=entry.core, feature=feature, y=y, x=x, timestamp=moment))
    return made


def fresh(board: Board, cores: Sequence[Core], initial: Mapping[int, Array]) -> list[Any]:
    """The events that write every potential: 0 to the whole memory, as sinabs does, then the initial values.

    Args:
        board: that takes them.
        cores: the used cores.
        initial: by core, the potentials at the start, `[channel, row, column]`.

    Raises:
        BoardError: when there are such potentials where nobody has published a neuron's address.
    """
    writes = [(core.core, word, 0) for core in cores for word in range(core.words)]
    for core in cores:
        places = np.argwhere(initial[core.core])
        if len(places) and not is_known(core.shape, core.words):
            raise BoardError(f"where core {core.core} keeps the potentials of {core.population} is not published")
        for channel, row, column in places.tolist():
            value = int(initial[core.core][channel, row, column])
            writes.append((core.core, address(core.shape, channel, row, column), value))
    return [board.event("WriteNeuronValue", layer=layer, address=word, neuron_state=v) for layer, word, v in writes]


def play(board: Board, given: list[Any], duration_s: float, patience: Patience) -> list[Any]:
    """Send events and wait until the board is quiet; returns its spikes, in the order in which they came.

    Raises:
        BoardError: when it does not become quiet.
    """
    board.sink.get_events()  # what is left from before
    board.restart_time()
    board.source.write(given)
    received = _wait(board, duration_s, patience)
    board.stop_time()
    return [each for each in received if board.is_spike(each)]


def _wait(board: Board, duration_s: float, patience: Patience) -> list[Any]:
    started = last = time.monotonic()
    received: list[Any] = []
    while True:
        time.sleep(POLL_S)
        new = board.sink.get_events()
        received += new
        now = time.monotonic()
        last = now if new or now - started < duration_s else last
        if now - last >= patience.quiet:
            return received
        if now - started - duration_s > patience.longest:
            raise BoardError(f"the board still fires {patience.longest:g} s after the last input")


def leaving(spikes: Sequence[Any], cores: Sequence[Core]) -> dict[str, Array]:
    """A board's spikes as events by population, `EVENT`."""
    known = {core.core: core for core in cores}
    rows: dict[str, list[tuple[int, int, int, int]]] = {core.population: [] for core in cores}
    for each in spikes:
        core = known.get(int(each.layer))
        if core is not None:
            place = (int(each.x), int(each.y), int(each.timestamp), int(each.feature) + core.first)
            rows[core.population].append(place)
    return {name: np.array(events, EVENT) for name, events in rows.items()}


def potentials(board: Board, core: Core, answer_s: float) -> Array:
    """The potentials of a core's neurons, whose addresses are known, `[channel, row, column]`.

    Raises:
        BoardError: when the board does not answer.
    """
    places = dict(addresses(core.shape))
    board.source.write([board.event("ReadNeuronValue", layer=core.core, address=word) for word in places])
    result, missing = np.zeros(core.shape, np.int32), set(places)
    deadline = time.monotonic() + answer_s
    while missing:
        for each in board.sink.get_events():
            if not board.is_spike(each) and int(each.layer) == core.core and int(each.address) in places:
                result[places[int(each.address)]] = int(each.neuron_state)
                missing.discard(int(each.address))
        if missing and time.monotonic() > deadline:
            raise BoardError(f"core {core.core} did not tell {len(missing)} of {len(places)} potentials")
        time.sleep(POLL_S if missing else 0)
    return result

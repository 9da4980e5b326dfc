"""Which core of which chip holds each slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network
from nmdeploy.target import Chip, Violation
from targets.spinnaker.connection import Form, form_of
from targets.spinnaker.layout import PynnPopulation
from targets.spinnaker.mapper.load import tick_instructions
from targets.spinnaker.mapper.memory import dtcm, sdram, source_sdram
from targets.spinnaker.mapper.wiring import Wiring

RESOURCES = ("neurons", "dtcm", "sdram", "tick_instructions")
"""What a core takes, by the figures that limit it; SDRAM is the chip's, shared by its cores."""


@dataclass(frozen=True)
class Slice:
    """What one core is to hold.

    Attributes:
        population: name of the network's population.
        neurons: flat indices.
        used: by resource.
    """

    population: str
    neurons: NDArray[np.int64]
    used: Mapping[str, int]


def place(network: Network, chip: Chip, chips: int | None = 1) -> Placement:
    """Cores for a lowered network, inputs included: sPyNNaker plays them back from cores of their own.

    Populations are cut into slices as sPyNNaker cuts them, and fill cores in the network's order.
    `CoreLoad.chip` counts boards, `CoreLoad.core` the application cores of a board. SDRAM is what is
    reserved before the run; recordings, and the spikes of inputs, come on top.

    Args:
        network: the lowered network.
        chip: the kind of board.
        chips: how many boards there are; None takes as many as are needed.

    Raises:
        UsageError: for fewer than one board, or several of a kind that cannot be joined.
        FitError: with every violation.
    """
    _check_boards(chip, chips)
    slices = list(_slices(network, chip))
    loads = tuple(_packed(slices, chip))
    boards = 1 + max((load.chip for load in loads), default=0)
    limit = chip.limit("boards") if "boards" in chip.figures else chips
    if limit is not None and boards > limit:
        raise FitError(chip.title, [_too_many(network.name, boards, limit, chip)])
    limits = {name: chip.limit(name) for name in RESOURCES}
    return Placement(chip.name, loads, limits, (), least_cores(network, chip))


def least_cores(network: Network, chip: Chip) -> int:
    """Cores that no placement can go below: each population's size over the most neurons of a core."""
    wiring = Wiring(network)
    found = 0
    for name, parts in wiring.populations.items():
        if network[name].is_input:
            found += len(parts)
            continue
        most = chip.limit("neurons" if form_of(network, name) is Form.ROWS else "local_only_neurons")
        found += sum(-(-part.size // most) for part in parts)
    return found


def _check_boards(chip: Chip, chips: int | None) -> None:
    if chips is not None and chips < 1:
        raise UsageError("a network needs at least one board", where="chips", found=chips)
    if chips is not None and "boards" in chip.figures and chips > chip.limit("boards"):
        hint = "use spin5, whose boards can be joined"
        raise UsageError("boards of this kind cannot be joined", where=chip.name, found=chips, limit=1, hint=hint)


def _slices(network: Network, chip: Chip) -> Iterator[Slice]:
    wiring = Wiring(network)
    for population in network.populations:
        for part in wiring.populations[population.name]:
            incoming, neuron = wiring.incoming[part.label], population.neuron
            shared = None if neuron is None else sdram(part, neuron, incoming)
            own = dtcm(part, neuron, incoming, chip)
            for neurons in part.slices():
                count = len(neurons) + (part.padding if _is_last(part, neurons) else 0)
                work = 0 if neuron is None else tick_instructions(count, chip)
                memory = source_sdram(count) if shared is None else shared
                used = {"neurons": count, "dtcm": own, "sdram": memory, "tick_instructions": work}
                yield Slice(population.name, neurons, used)


def _is_last(part: PynnPopulation, neurons: NDArray[np.int64]) -> bool:
    return int(neurons[-1]) == part.first + part.size - part.padding - 1


def _too_many(where: str, boards: int, limit: int, chip: Chip) -> Violation:
    hint = (
        "deploy on spin5, whose boards can be joined"
        if "boards" in chip.figures
        else f"use {boards} boards (chips={boards})"
    )
    return Violation("SPI070", where, "the network needs more boards", boards, limit, hint)


def _packed(slices: list[Slice], chip: Chip) -> Iterator[CoreLoad]:
    """Chips filled one after the other, as far as cores and SDRAM go."""
    sizes = chip_cores(chip)
    memory = chip.limit("sdram") - chip.limit("monitor_sdram")
    board, index, core, taken = 0, 0, 0, 0
    for one in slices:
        while core >= sizes[index] or (core and taken + one.used["sdram"] > memory):
            board, index = (board, index + 1) if index + 1 < len(sizes) else (board + 1, 0)
            core, taken = 0, 0
        yield CoreLoad(board, sum(sizes[:index]) + core, one.population, one.neurons, one.used)
        core, taken = core + 1, taken + one.used["sdram"]


def chip_cores(chip: Chip) -> list[int]:
    """Application cores of each chip of a board: all of them, less those that single chips lack."""
    count, most = chip.limit("board_chips"), chip.limit("chip_cores")
    lacking = count * most - chip.limit("cores")
    return [most - (index < lacking) for index in range(count)]

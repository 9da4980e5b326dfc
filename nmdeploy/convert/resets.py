"""Which reset a network's neurons get, when the chip may choose."""

from __future__ import annotations

from dataclasses import replace

from nmdeploy.convert.checks import check_choice
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF
from nmdeploy.target import Choice

AUTO = "auto"
"""The first reset that the chip can do under the chosen profile."""


def chosen_reset(wanted: str, chip: Choice) -> str:
    """`wanted` (`subtract` or `zero`), or for `auto` the best reset that the chip can do.

    Raises:
        UsageError: for anything else.
    """
    check_choice("reset", wanted, (AUTO, "subtract", "zero"))
    return chip.precision.resets[0] if wanted == AUTO else wanted


def with_reset(network: Network, wanted: str, chip: Choice) -> Network:
    """The network with the chosen reset in all its neurons; for `auto` a note says which it is, and why.

    Raises:
        UsageError: for a reset that there is not.
    """
    reset = chosen_reset(wanted, chip)
    populations = tuple(_with_reset(population, reset) for population in network.populations)
    resets = any(isinstance(population.neuron, IF) for population in populations)
    notes = (_reason(reset, chip),) if wanted == AUTO and resets else ()
    return replace(network, populations=populations, notes=(*network.notes, *notes))


def _reason(reset: str, chip: Choice) -> str:
    words = {"subtract": "reset by subtraction", "zero": "reset to zero"}[reset]
    only = len(chip.precision.resets) == 1
    return f"neurons have {words}: {f'the only one of {chip.name}' if only else f'the best that {chip.name} can do'}"


def _with_reset(population: Population, reset: str) -> Population:
    if not isinstance(population.neuron, IF):
        return population
    return replace(population, neuron=replace(population.neuron, reset="subtract" if reset == "subtract" else "zero"))

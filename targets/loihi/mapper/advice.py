"""What would fit instead of a network that does not: found by mapping it, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nmdeploy.deployment import Placement
from nmdeploy.errors import FitError
from nmdeploy.network import Network
from nmdeploy.target import Chip
from targets.loihi.mapper.narrowing import widest_that_fits

MOST_NEURONS = 1 << 18
"""Larger networks take too long to map again and again."""
MOST_SUSPECTS = 3


class Mapper(Protocol):
    """`targets.loihi.mapper.place`."""

    def __call__(self, network: Network, chip: Chip, chips: int | None, *, advise: bool) -> Placement: ...


def hint_for(network: Network, chip: Chip, chips: int | None, suspects: Sequence[str], mapper: Mapper) -> str | None:
    """Changes with which the network was seen to fit, as a sentence; None where none was found.

    Args:
        network: the lowered network that does not fit.
        chip, chips: as for the mapper.
        suspects: populations that may have too many channels, the likeliest first.
        mapper: places a network or raises FitError.
    """

    def placed(candidate: Network, count: int | None) -> Placement | None:
        try:
            return mapper(candidate, chip, count, advise=False)
        except FitError:
            return None

    hints = []
    whole = placed(network, None) if chips is not None else None
    if whole is not None:
        hints.append(f"{whole.chip_count} chips would do")
    if sum(population.size for population in network.populations) <= MOST_NEURONS:
        hints += _narrower(network, suspects, lambda candidate: placed(candidate, chips) is not None)
    return "; ".join(hints) or None


def _narrower(network: Network, suspects: Sequence[str], fits: Callable[[Network], bool]) -> list[str]:
    """The first suspect whose channels can be cut so far that the network fits."""
    for name in suspects[:MOST_SUSPECTS]:
        if name in network.outputs:
            continue  # a network's classes are not the mapper's to cut
        shape = network[name].shape
        width = widest_that_fits(network, name, fits)
        if width is not None:
            what = "channels" if len(shape) == 3 else "neurons"
            return [f"{width} instead of {shape[0]} {what} in {name!r} would fit"]
    return []

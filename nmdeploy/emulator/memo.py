"""What was worked out for a network, kept as long as the network lives: runs repeat."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import ref

from nmdeploy.network import Network

T = TypeVar("T")


class Memo(Generic[T]):
    """The last thing made for each network object. Networks and their arrays do not change."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[ref[Network], Hashable, T]] = {}

    def get(self, network: Network, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for this very network under `key`, else what `make` returns now."""
        place = id(network)
        found = self._made.get(place)
        if found is not None and found[0]() is network and found[1] == key:
            return found[2]
        made = make()
        self._made[place] = (ref(network, lambda _: self._forget(place)), key, made)
        return made

    def _forget(self, place: int) -> None:
        found = self._made.get(place)
        if found is not None and found[0]() is None:  # not another network at the same address
            del self._made[place]

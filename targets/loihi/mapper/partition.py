"""Choosing a cut for every population: fewest cores, then least traffic.

Each population's best cuts are found by themselves, targets before their sources; what
ties them together is the limit of output axons, since a neuron has one for every core it
sends to. Where the first choices keep it they are the best of all; where not, an integer
program (HiGHS) chooses among the candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from targets.loihi.mapper.layer import Excess, Layer, Option
from targets.loihi.mapper.resources import Counts
from targets.loihi.mapper.sharing import SynapseLists
from targets.loihi.mapper.tiling import Tiling

Options = dict[str, list[Option]]
Chosen = dict[str, Option]


class NoPartition(Exception):
    """A population fits no core, however it is cut.

    Args:
        layer: the population.
        excess: the limit in the way; None when it would take more cores than may be used.
    """

    def __init__(self, layer: Layer, excess: Excess | None) -> None:
        super().__init__(layer.name)
        self.layer, self.excess = layer, excess


def partition(layers: dict[str, Layer], most: int) -> Chosen:
    """A cut for every layer.

    Args:
        layers: by name, targets before sources.
        most: cores that one layer may take.

    Raises:
        NoPartition: naming the first layer that fits no cores.
    """
    search = _Search(layers, most)
    options = search.candidates()
    first = {name: found[0] for name, found in options.items()}
    if all(search.allows(name, first) for name in first):
        return first
    return search.best(options)


class _Search:
    def __init__(self, layers: dict[str, Layer], most: int) -> None:
        self._layers, self._most = layers, most
        self._axons = lru_cache(maxsize=None)(self._count_axons)

    def _outward(self, name: str) -> list[SynapseLists]:
        return [lists for lists in self._layers[name].leaving if lists.target != name]

    def _limit(self, name: str) -> int | None:
        return self._layers[name].limits.get("output_axons")

    def _reach(self, name: str, chosen: Iterable[tuple[SynapseLists, Option]]) -> Counts:
        """Cores of other populations that each neuron of `name` sends to."""
        total = np.zeros(self._layers[name].population.size, dtype=np.int64)
        return total + sum(lists.cores_reached(option.tiling) for lists, option in chosen)

    def candidates(self) -> Options:
        """Cuts worth considering; for each a source has one that goes with it, if there is any."""
        options: Options = {}
        for name, layer in self._layers.items():
            options[name] = self._own(layer)
            for chosen in self._target_choices(name, options):
                reach = self._reach(name, chosen)
                limit = self._limit(name)
                if limit is None or any(layer.output_axons(o.tiling, reach) <= limit for o in options[name]):
                    continue
                new = [option for option in layer.options(self._most, reach, kept=4) if option not in options[name]]
                options[name] = sorted([*options[name], *new], key=lambda option: option.cost)
        return options

    def _own(self, layer: Layer) -> list[Option]:
        found = layer.options(self._most)
        if not found:
            raise NoPartition(layer, layer.smallest_excess() or self._obstacle(layer))
        return found

    def _obstacle(self, layer: Layer) -> Excess | None:
        """The limit that the finest cut tried still breaks."""
        if self._most < layer.population.size:
            return None
        finest = Tiling(layer.population.shape, layer.population.shape)
        most = layer.output_axons(finest, np.zeros(layer.population.size, dtype=np.int64))
        return Excess("output_axons", most, layer.limits["output_axons"])

    def _target_choices(self, name: str, options: Options) -> list[tuple[tuple[SynapseLists, Option], ...]]:
        """Combinations of the targets' options: all for one target, the same rank in each for several."""
        outward = [lists for lists in self._outward(name) if lists.target in options]
        if not outward:
            return []
        ranks = max(len(options[lists.target]) for lists in outward)
        return [
            tuple((lists, options[lists.target][min(rank, len(options[lists.target]) - 1)]) for lists in outward)
            for rank in range(ranks)
        ]

    def allows(self, name: str, chosen: Chosen) -> bool:
        """Whether no core of `name` has too many output axons."""
        limit = self._limit(name)
        reach = self._reach(name, [(lists, chosen[lists.target]) for lists in self._outward(name)])
        return limit is None or self._layers[name].output_axons(chosen[name].tiling, reach) <= limit

    def _count_axons(self, name: str, tiling: Tiling, lists: SynapseLists, target: Tiling) -> Counts:
        """Output axons of each core of `name` to one target."""
        return np.bincount(tiling.box_of, weights=lists.cores_reached(target)).astype(np.int64)

    def best(self, options: Options) -> Chosen:
        """The options of fewest cores, then least traffic, that go together: an integer program."""
        from scipy.optimize import LinearConstraint

        names = [(name, option) for name, found in options.items() for option in found]
        column = {(name, option): index for index, (name, option) in enumerate(names)}
        rows, upper, lower = [], [], []
        for name, found in options.items():
            rows.append(_row(len(names), {column[name, option]: 1 for option in found}))
            lower.append(1.0)
            upper.append(1.0)
        for name, option in names:
            for entries, bound in self._axon_rows(name, option, options, column):
                rows.append(_row(len(names), entries))
                lower.append(-np.inf)
                upper.append(bound)
        constraints = LinearConstraint(np.array(rows), lower, upper)
        cores = np.array([option.tiling.count for _, option in names], dtype=float)
        traffic = np.array([option.traffic for _, option in names], dtype=float)
        fewest = self._solve(cores, [constraints])
        if fewest is None:
            raise self._too_many_axons(options)
        held = LinearConstraint(cores, -np.inf, float(cores @ fewest) + 0.5)
        taken = self._solve(traffic, [constraints, held])
        shares = fewest if taken is None else taken
        return {name: option for (name, option), share in zip(names, shares, strict=True) if share > 0.5}

    @staticmethod
    def _solve(goal: Any, constraints: Any) -> Any:
        """0 or 1 for each option, of the least `goal`; None where nothing goes together."""
        from scipy.optimize import Bounds, milp

        whole = np.ones(len(goal), dtype=np.int64)
        solved: Any = milp(
            goal, integrality=whole, bounds=Bounds(0, 1), constraints=constraints, options={"mip_rel_gap": 0.0}
        )
        return None if solved.x is None else np.round(solved.x)

    def _axon_rows(
        self, name: str, option: Option, options: Options, column: dict[tuple[str, Option], int]
    ) -> Iterator[tuple[dict[int, float], float]]:
        """If `option` is taken, the output axons of each core to the targets' choices keep the limit.

        As rows (coefficients, upper bound); cores that are alike give one row.
        """
        limit, outward = self._limit(name), self._outward(name)
        if limit is None or not outward:
            return
        choices = [(lists, other) for lists in outward for other in options[lists.target]]
        axons = np.array([self._axons(name, option.tiling, lists, other.tiling) for lists, other in choices])
        own = self._layers[name].own_output_axons(option.tiling)
        for core in np.unique(np.vstack([axons, own]), axis=1).T:
            room = limit - int(core[-1])
            most = sum(
                max(count for (lists, _), count in zip(choices, core[:-1], strict=True) if lists is outer)
                for outer in outward
            )
            if most <= room:
                continue
            entries = {column[name, option]: float(most - room)}
            for (lists, other), count in zip(choices, core[:-1], strict=True):
                index = column[lists.target, other]
                entries[index] = entries.get(index, 0.0) + float(count)
            yield entries, float(most)

    def _too_many_axons(self, options: Options) -> NoPartition:
        """The layer whose output axons exceed their limit by the largest factor; nothing else ties layers together."""
        return NoPartition(*max(self._axon_excesses(options), key=lambda each: each[1].found / each[1].limit))

    def _axon_excesses(self, options: Options) -> Iterator[tuple[Layer, Excess]]:
        """Of each layer that sends, the fewest output axons of its fullest core."""
        for name, layer in self._layers.items():
            choices = self._target_choices(name, options)
            limit = self._limit(name)
            if limit is None or not choices:
                continue
            reaches = [self._reach(name, chosen) for chosen in choices]
            least = min(int(reach.max()) for reach in reaches)  # of a neuron on a core of its own
            if least <= limit:
                least = max(min(layer.output_axons(o.tiling, reach) for o in options[name]) for reach in reaches)
            yield layer, Excess("output_axons", least, limit)


def _row(width: int, entries: dict[int, float]) -> list[float]:
    row = [0.0] * width
    for index, value in entries.items():
        row[index] = value
    return row

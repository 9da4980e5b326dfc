"""What a placement takes of every core: by population, and core by core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nmdeploy.deployment import CoreLoad, Placement


@dataclass(frozen=True)
class ResourceUse:
    """One resource over the cores of one population.

    Attributes:
        population: whose cores these are.
        resource: name of the chip figure that limits it.
        cores: number of cores.
        least, mean, most: used on one core.
        limit: what one core has.
    """

    population: str
    resource: str
    cores: int
    least: int
    mean: float
    most: int
    limit: int

    @property
    def fill(self) -> float:
        """Share of the limit that the fullest of these cores takes."""
        return share(self.most, self.limit)


@dataclass(frozen=True)
class CoreUse:
    """What one core holds altogether.

    Attributes:
        chip, core: indices from 0.
        populations: names, in order of placement.
        neurons: neurons of all of them.
        used: resources taken by all of them.
        limits: what this core has of them, where cores differ; else empty.
    """

    chip: int
    core: int
    populations: tuple[str, ...]
    neurons: int
    used: Mapping[str, int]
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Occupancy:
    """What a placement takes of a chip, or of several.

    Attributes:
        cores, chips: how many are used.
        off_chip: populations that take no core.
        limits: what one core has, by resource; the largest, where cores differ.
        uses: resources by population, in order of placement, resources by name; a row for each
            size of core.
        every_core: by chip and core.
        least_cores: what no placement can go below; None when nothing is proven.
    """

    cores: int
    chips: int
    off_chip: tuple[str, ...]
    limits: Mapping[str, int]
    uses: tuple[ResourceUse, ...]
    every_core: tuple[CoreUse, ...]
    least_cores: int | None = None

    @property
    def gap(self) -> float | None:
        """Optimality gap: cores above the proven least, as a share of it; None when nothing is proven."""
        return None if not self.least_cores else self.cores / self.least_cores - 1

    def fill(self, core: CoreUse, resource: str) -> float:
        """Share of a core's resource that is taken."""
        return share(core.used.get(resource, 0), core.limits.get(resource, self.limits[resource]))

    @classmethod
    def of(cls, placement: Placement) -> Occupancy:
        """The occupancy of a placement."""
        return cls(
            cores=placement.core_count,
            chips=placement.chip_count,
            off_chip=placement.off_chip,
            limits={name: int(placement.limits[name]) for name in sorted(placement.limits)},
            uses=use_by_population(placement),
            every_core=use_by_core(placement),
            least_cores=placement.least_cores,
        )


def share(used: int, limit: int) -> float:
    """`used` as a share of `limit`; nothing of nothing is 0."""
    return used / limit if limit else float(used > 0)


def use_by_population(placement: Placement) -> tuple[ResourceUse, ...]:
    """Every resource of every population's cores, in order of placement, resources by name."""
    names = dict.fromkeys(load.population for load in placement.cores)
    return tuple(
        _use(name, resource, loads, limit)
        for name in names
        for resource in sorted(placement.limits)
        for limit, loads in _by_limit(placement, name, resource).items()
        if any(resource in load.used for load in loads)
    )


def _by_limit(placement: Placement, population: str, resource: str) -> dict[int, list[CoreLoad]]:
    """The cores of a population by what they have of a resource."""
    found: dict[int, list[CoreLoad]] = {}
    for load in placement.of(population):
        found.setdefault(int(placement.limits_of(load)[resource]), []).append(load)
    return found


def _use(population: str, resource: str, loads: Sequence[CoreLoad], limit: int) -> ResourceUse:
    amounts = [int(load.used.get(resource, 0)) for load in loads]
    mean = sum(amounts) / len(amounts)
    return ResourceUse(population, resource, len(amounts), min(amounts), mean, max(amounts), limit)


def use_by_core(placement: Placement) -> tuple[CoreUse, ...]:
    """Every used core, by chip and core; a core that several populations share appears once."""
    by_core: dict[tuple[int, int], list[CoreLoad]] = {}
    for load in placement.cores:
        by_core.setdefault((load.chip, load.core), []).append(load)
    resources = sorted(placement.limits)
    return tuple(_core(*place, loads, resources) for place, loads in sorted(by_core.items()))


def _core(chip: int, core: int, loads: list[CoreLoad], resources: list[str]) -> CoreUse:
    used = {resource: sum(int(load.used.get(resource, 0)) for load in loads) for resource in resources}
    populations = tuple(dict.fromkeys(load.population for load in loads))
    limits = {name: int(limit) for load in loads for name, limit in load.limits.items()}
    return CoreUse(int(chip), int(core), populations, sum(len(load.neurons) for load in loads), used, limits)

"""Giving every neuron a core: a greedy partition, from the outputs backwards.

Each population is cut into boxes of channels, rows and columns, one box a core, and
takes the fewest boxes with which every core keeps its limits (the scheme of NxTF,
Rueckauer et al., ACM JETC 18(3), 2022, without its cost function). A neuron needs one
output axon for each core it sends to, so targets are cut before their sources.
"""

from __future__ import annotations

import numpy as np

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population
from nmdeploy.target import Chip, Violation
from targets.loihi.resources import (
    RESOURCES,
    WORD_BITS,
    Connections,
    Counts,
    connections,
    cores_reached,
    incoming_use,
    most_neurons,
)
from targets.loihi.tiling import Parts, box_of, tilings

_HINTS = {
    "compartments": "fewer channels, or a larger stride before it",
    "input_axons": "pool or use a larger stride before it, so that its neurons have fewer inputs",
    "output_axons": "fewer channels or smaller kernels in the layers it feeds",
    "synaptic_words": "fewer input channels or smaller kernels",
}


def place(network: Network, chip: Chip) -> Placement:
    """Cores of one chip for a lowered network.

    Raises:
        FitError: naming every population that fits no core, or the largest one when
            there are too few cores.
    """
    plans = _partition(network, chip)
    violations = [violation for plan in plans.values() for violation in plan.violations()]
    violations = violations or _too_many_cores(network, plans, chip)
    if violations:
        raise FitError(chip.title, violations)
    cores: list[CoreLoad] = []
    for population in network.populations:
        if population.name in plans:
            cores += plans[population.name].loads(first_core=len(cores))
    limits = {name: chip.limit(name) for name in RESOURCES if name in chip.figures}
    return Placement(chip.name, tuple(cores), limits, tuple(population.name for population in network.inputs))


class Plan:
    """How one population is cut, and what its cores then use.

    Args:
        population: the population.
        chip: gives the limits.
        entering, leaving: its synapses.
        plans: those of all populations by name; targets are looked up there.
    """

    def __init__(
        self,
        population: Population,
        chip: Chip,
        entering: list[Connections],
        leaving: list[Connections],
        plans: dict[str, Plan],
    ) -> None:
        self.population, self.entering, self.leaving = population, entering, leaving
        self._plans, self._weight_bits = plans, chip.limit("weight_bits")
        self._limits = {name: chip.limit(name) for name in RESOURCES if name in chip.figures}
        self._limits["compartments"] = most_neurons(chip, entering)
        self._cores = chip.limit("cores")
        self._untried = tilings(population.shape, self._fewest_cores, self._cores)
        self._cut((1,) * len(population.shape))
        self.excess: tuple[str, int] | None = None
        self._tried = False

    @property
    def _fewest_cores(self) -> int:
        """Cores that neurons and bare weights need at least."""
        synapses = sum(joined.synapses.nnz for joined in self.entering)
        words = -(-synapses * self._weight_bits // WORD_BITS)
        neurons = -(-self.population.size // self._limits["compartments"])
        return max(1, neurons, -(-words // self._limits["synaptic_words"]))

    def _cut(self, parts: Parts) -> None:
        self.core_of = box_of(self.population.shape, parts)
        order = np.argsort(self.core_of, kind="stable")
        self.cores = np.split(order, np.cumsum(np.bincount(self.core_of))[:-1])

    def fit(self) -> bool:
        """Cut finer until all limits are kept or nothing is left to try; whether the cut is new."""
        new, self._tried = not self._tried, True
        output_axons = self._output_axons()
        self.excess = self._excess(output_axons)
        while self.excess and self._untried and not self._single_neuron_excess(output_axons):
            self._cut(self._untried.pop(0))
            # A neuron that sends to its own population sends to the new cores.
            output_axons = self._output_axons() if self._is_recurrent else output_axons
            self.excess = self._excess(output_axons)
            new = True
        return new

    @property
    def _is_recurrent(self) -> bool:
        return any(joined.target == self.population.name for joined in self.leaving)

    def _output_axons(self) -> Counts:
        """Output axons of each neuron: the cores it sends to."""
        total = np.zeros(self.population.size, dtype=np.int64)
        for joined in self.leaving:
            total += cores_reached(joined, self._plans[joined.target].core_of)
        return total

    def _excess(self, output_axons: Counts) -> tuple[str, int] | None:
        """A resource that a core exceeds and how much of it is used; None when all limits are kept."""
        # The core in the middle first: boxes at the borders have fewer inputs.
        for neurons in sorted(self.cores, key=lambda neurons: abs(int(neurons[0]) - self.population.size // 2)):
            for name, used in self._use(neurons, output_axons).items():
                if used > self._limits[name]:
                    return name, used
        return None

    def _single_neuron_excess(self, output_axons: Counts) -> bool:
        """Whether a neuron alone breaks a limit, so that no cut can mend it."""
        inputs = sum(np.diff(joined.synapses.indptr) for joined in self.entering)
        needs = {"input_axons": int(np.max(inputs)), "output_axons": int(output_axons.max())}
        needs["synaptic_words"] = needs["input_axons"]
        beyond = [(name, need) for name, need in needs.items() if need > self._limits.get(name, need)]
        self.excess = beyond[0] if beyond else self.excess
        return bool(beyond)

    def _use(self, neurons: Counts, output_axons: Counts) -> dict[str, int]:
        """What a core of `neurons` uses, of the resources that the chip limits."""
        entering = [incoming_use(joined, neurons, self._weight_bits) for joined in self.entering]
        axons, words = (sum(use[index] for use in entering) for index in (0, 1))
        used = (len(neurons), axons, int(output_axons[neurons].sum()), words)
        return {name: count for name, count in zip(RESOURCES, used, strict=True) if name in self._limits}

    def loads(self, first_core: int) -> list[CoreLoad]:
        """One record for each core, counted from `first_core`."""
        output_axons, name = self._output_axons(), self.population.name
        return [
            CoreLoad(0, first_core + core, name, neurons, self._use(neurons, output_axons))
            for core, neurons in enumerate(self.cores)
        ]

    def violations(self) -> list[Violation]:
        """The limit that the last cut breaks, if it does."""
        if self.excess is None:
            return []
        if self._fewest_cores > self._cores:
            message, hint = "the layer alone needs more cores than the chip has", _HINTS["compartments"]
            return [Violation("LOI020", self.population.name, message, self._fewest_cores, self._cores, hint)]
        name, found = self.excess
        limit = self._limits[name]
        message = f"the layer fits no core, however it is cut: {name.replace('_', ' ')}"
        hint = f"{_HINTS[name]}: {found - limit} less, or {100 * limit / found:.0f} % of it"
        return [Violation("LOI020", self.population.name, message, found, limit, hint)]


def _partition(network: Network, chip: Chip) -> dict[str, Plan]:
    joined = [connections(network, projection) for projection in network.projections]
    order = network.order(instant_only=False) or network.populations
    plans: dict[str, Plan] = {}
    for population in reversed(order):
        if not population.is_input:
            entering = [each for each in joined if each.target == population.name]
            leaving = [each for each in joined if each.source == population.name]
            plans[population.name] = Plan(population, chip, entering, leaving, plans)
    # Cutting a target finer costs its sources output axons, so those are looked at again. Cuts
    # only become finer, so this ends.
    waiting = list(plans)
    while waiting:
        name = waiting.pop(0)
        if plans[name].fit():
            sources = {each.source for each in plans[name].entering} & set(plans)
            waiting += [source for source in sorted(sources) if source not in waiting]
    return plans


def _too_many_cores(network: Network, plans: dict[str, Plan], chip: Chip) -> list[Violation]:
    total, limit = sum(len(plan.cores) for plan in plans.values()), chip.limit("cores")
    if total <= limit:
        return []
    largest = max(plans.values(), key=lambda plan: len(plan.cores))
    hint = f"{largest.population.name!r} takes most, {len(largest.cores)}: "
    share = 1 - (total - limit) / len(largest.cores)
    kind = "channels" if len(largest.population.shape) == 3 else "neurons"
    count = int(share * largest.population.shape[0])
    hint += f"use about {count} {kind} there" if count > 0 else "use fewer channels in every layer"
    return [Violation("LOI021", network.name, "more cores than the chip has", total, limit, hint)]

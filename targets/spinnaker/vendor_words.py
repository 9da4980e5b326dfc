"""Our integers against the words that sPyNNaker would load, core by core and word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network
from nmdeploy.target import Violation
from targets.spinnaker.dataspec import PARAMETERS, Place, Regions, Synapses, Words, core_shifts, synapses_of
from targets.spinnaker.layout import PynnPopulation, layout
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta, SpinnakerNeuron
from targets.spinnaker.script import parameters

_PLAIN = ("v", "cm", "tau_m", "i_offset", "v_reset", "tau_refrac", "refract_timer", "time_step")
_LEAKY = ("v", "v_rest", "cm", "tau_m", "i_offset", "v_reset", "tau_refrac", "refract_timer", "time_step")
_PAIR = ("isyn_exc", "isyn_inh")
STRUCTS: Mapping[type[SpinnakerNeuron], tuple[tuple[str, ...], ...]] = {
    IFTruncDelta: (_PLAIN, ("time_step",), ("v_thresh",), _PAIR),
    IFCurrDelta: (_LEAKY, ("time_step",), ("v_thresh",), _PAIR),
    IFCurrExp: (_LEAKY, ("v_thresh",), ("tau_syn_E", "isyn_exc", "tau_syn_I", "isyn_inh", "time_step")),
}
"""Words of a neuron in the order that the host writes them: one array of structs after the other."""
STEPS_PER_TIME_STEP = 1
"""The word before them."""


@dataclass(frozen=True)
class Core:
    """A core of the application on the virtual board.

    Attributes:
        place: x, y, p.
        label: of its PyNN population.
        neurons: of that population, in their order on the core.
        key: first routing key of its spikes; None where nothing listens.
        sdram: bytes before the run.
        regions: words by label.
    """

    place: Place
    label: str
    neurons: NDArray[np.int64]
    key: int | None
    sdram: int
    regions: Regions


@dataclass
class Findings:
    """The outcome of a comparison.

    Attributes:
        compared: words held against ours.
        differences: where they differ, one for each core and kind.
    """

    compared: int = 0
    differences: list[Violation] = field(default_factory=list)

    def words(self, where: str, what: str, expected: NDArray[Any], found: NDArray[Any], names: Sequence[str]) -> None:
        """Compare arrays of words; `names` says what each is."""
        self.compared += expected.size
        if expected.size != found.size:
            message = f"{what}: another number of words"
            self.differences.append(Violation("SPI150", where, message, found.size, expected.size))
            return
        wrong = np.flatnonzero(expected != found)
        if len(wrong):
            message = f"{what}: {len(wrong)} of {expected.size} words differ, first {names[wrong[0] % len(names)]}"
            ours, theirs = int(expected[wrong[0]]), int(found[wrong[0]])
            self.differences.append(Violation("SPI150", where, message, theirs, ours))


@dataclass(frozen=True)
class Mapped:
    """A lowered network beside the cores that sPyNNaker made of it.

    Attributes:
        network: lowered.
        parts: its PyNN populations by label.
        cores: by label, in the order of their routing keys.
        sources: labels by the first routing key of each of their cores.
    """

    network: Network
    parts: Mapping[str, PynnPopulation]
    cores: Mapping[str, Sequence[Core]]
    sources: Mapping[int, str]

    def index(self, name: str) -> int:
        """A population's number."""
        return [population.name for population in self.network.populations].index(name)

    def size(self, label: str) -> tuple[int, int]:
        """Height and width of the grid that a part lies on."""
        width, height = self.parts[label].grid or (self.parts[label].size, 1)
        return height, width


def compare(network: Network, keys: Mapping[str, str], cores: Sequence[Core]) -> Findings:
    """Hold a lowered network against the cores that sPyNNaker made of it.

    Args:
        network: lowered.
        keys: names of populations in the script, which labels begin with.
        cores: all that hold its populations.
    """
    by_label: dict[str, list[Core]] = {}
    for core in sorted(cores, key=lambda core: core.key or 0):
        by_label.setdefault(core.label, []).append(core)
    sources = {core.key: core.label for core in cores if core.key is not None}
    parts = {_label(part, keys): part for each in network.populations for part in layout(network, each.name)}
    mapped, findings = Mapped(network, parts, by_label, sources), Findings()
    findings.differences += _misplaced(mapped)
    if findings.differences:
        return findings
    for population in network.populations:
        if isinstance(population.neuron, SpinnakerNeuron):
            own = layout(network, population.name)
            arriving, given = _expected_synapses(mapped, population.name), parameters(population, own)
            for part in own:
                values = {name: array[part.channel or 0] for name, array in given.items()}
                for core in by_label[_label(part, keys)]:
                    _compare_parameters(population.neuron, values, core, findings)
                    _compare_synapses(mapped, arriving, part, core, findings)
    return findings


def _label(part: PynnPopulation, keys: Mapping[str, str]) -> str:
    """The label that the script gives a part."""
    key = keys[part.population]
    return key if part.channel is None else f"{key}.c{part.channel}"


def _misplaced(mapped: Mapped) -> Iterator[Violation]:
    """Populations whose neurons are not each on one core."""
    for label in sorted(mapped.parts.keys() | mapped.cores.keys()):
        held = sorted(int(neuron) for core in mapped.cores.get(label, ()) for neuron in core.neurons)
        size = mapped.parts[label].size if label in mapped.parts else 0
        if held != list(range(size)):
            yield Violation("SPI151", label, "not every neuron is on one core", len(held), size)


def _where(core: Core) -> str:
    x, y, p = core.place
    return f"{core.label} on core {x},{y},{p}"


def _compare_parameters(
    neuron: SpinnakerNeuron, values: Mapping[str, NDArray[Any]], core: Core, findings: Findings
) -> None:
    known = {name: array[core.neurons] for name, array in values.items()}
    zero = np.zeros(len(core.neurons), np.int32)
    known |= {"refract_timer": zero, "isyn_exc": zero, "isyn_inh": zero}
    known["time_step"] = zero + np.int32(np.max(neuron.time_step))
    expected, names = [np.array([STEPS_PER_TIME_STEP], np.int32)], ["steps"]
    for struct in STRUCTS[type(neuron)]:
        expected.append(np.stack([known[name] for name in struct], axis=1).ravel().astype(np.int32))
        names += [f"{name} of neuron {index}" for index in core.neurons for name in struct]
    found: Words = core.regions.get(PARAMETERS, np.zeros(0, "<u4"))
    findings.words(_where(core), "neuron parameters", np.concatenate(expected), found.view("<i4"), names)
    shifts = np.array([int(np.max(neuron.shift_exc)), int(np.max(neuron.shift_inh))])
    findings.words(
        _where(core), "ring buffers", shifts, np.array(core_shifts(core.regions)), ("shift_exc", "shift_inh")
    )


_COLUMNS = ("source population", "source", "target", "sign", "delay", "weight")


def _expected_synapses(mapped: Mapped, target: str) -> NDArray[np.int64]:
    """The synapses into a population as the network has them: `_COLUMNS`, neurons counted through all channels."""
    tables = []
    for projection in mapped.network.into(target):
        matrix = projection.matrix(mapped.network[projection.source].shape).tocoo()
        weight = matrix.data.astype(np.int64)
        columns = (matrix.col, matrix.row, weight < 0, projection.delay, np.abs(weight))
        tables.append(_table(mapped.index(projection.source), *columns)[weight != 0])
    return np.concatenate(tables)


def _table(population: int, *columns: Any) -> NDArray[np.int64]:
    """Columns, or one number for all rows, as `[synapses, columns]`."""
    return np.stack(np.broadcast_arrays(population, *columns), axis=1).astype(np.int64)


def _compare_synapses(
    mapped: Mapped, arriving: NDArray[np.int64], part: PynnPopulation, core: Core, findings: Findings
) -> None:
    grids = {key: mapped.size(label) for key, label in mapped.sources.items()}
    tables = [np.zeros((0, len(_COLUMNS)), np.int64)]
    for found in synapses_of(core.regions, grids, mapped.size(core.label)):
        findings.compared += found.words
        if found.key not in mapped.sources:
            message = "synapses of a source that does not exist"
            findings.differences.append(Violation("SPI152", _where(core), message, f"key {found.key:#x}"))
            continue
        label = mapped.sources[found.key]
        source = mapped.parts[label]
        neurons = source.first + _source_neurons(found, mapped.cores[label])
        local = core.neurons[found.target] if found.on_core else found.target
        columns = (neurons, part.first + local, found.sign, found.delay, found.weight)
        tables.append(_table(mapped.index(source.population), *columns))
    here = part.first + core.neurons
    ours, theirs = (_sorted(table[np.isin(table[:, 2], here)]) for table in (arriving, np.concatenate(tables)))
    if not np.array_equal(ours, theirs):
        findings.differences.append(_difference(ours, theirs, _where(core)))


def _source_neurons(found: Synapses, cores: Sequence[Core]) -> NDArray[np.int64]:
    """Neurons of the source's PyNN population: rows are counted core by core; the first cores are full."""
    if not found.rows_per_core:
        return found.source
    size = found.rows_per_core
    neurons = np.full(size * len(cores), -1)
    for index, core in enumerate(cores):
        neurons[index * size : index * size + len(core.neurons)] = core.neurons
    return neurons[found.source]


def _sorted(table: NDArray[np.int64]) -> NDArray[np.int64]:
    return table[np.lexsort(table.T[::-1])]


def _difference(ours: NDArray[np.int64], theirs: NDArray[np.int64], where: str) -> Violation:
    """What differs between two tables of synapses."""
    left, right = (Counter(map(tuple, table.tolist())) for table in (ours, theirs))
    missing, extra = left - right, right - left
    message = f"{missing.total()} synapses are missing, {extra.total()} too many"
    shown = [dict(zip(_COLUMNS, min(each), strict=True)) if each else "none" for each in (extra, missing)]
    return Violation("SPI152", where, message, str(shown[0]), str(shown[1]))

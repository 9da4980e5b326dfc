"""The network IR: populations of neurons joined by projections.

A network is a graph: several projections may enter one population (a residual add
is two of them), and cycles are legal where every cycle has a delay of at least one
step. Float and integer networks are the same classes; `Network.is_integer` tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import NetworkError, ShapeError
from nmdeploy.linear_maps import working_type
from nmdeploy.neurons import NeuronModel
from nmdeploy.schedule import Schedule
from nmdeploy.structure import Record
from nmdeploy.synapses import Array, Shape, Synapse
from quantize import IntegerFormat

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Model = TypeVar("Model", bound=NeuronModel)


@dataclass(frozen=True, eq=False, repr=False)
class Population(Record):
    """Neurons of one kind, or an input when `neuron` is None.

    Attributes:
        name: unique in the network.
        shape: `(C, H, W)` or `(N,)`.
        neuron: the neuron model; None for an input, whose spikes come from outside.
        minimum, maximum: smallest and largest value of one spike of an *input* in one
            step; (0, 1) is binary. Neurons declare theirs by `NeuronModel.largest_spike`.
        rate_scale: value, in the trained network's units, of one unit of spikes per
            step (an input: of one unit of spike value per step).
        potential_scale: value of one integer unit of potential, threshold and weight
            (`value = integer * scale`); a number or an array that broadcasts to
            `shape`. 1.0 for float networks.
        potential_offset: the integer potential that stands for 0, where a chip's neurons
            rest elsewhere: a potential's `value = (integer - offset) * scale`. A number or
            an array that broadcasts to `shape`.
        readout_step: neurons from one class to the next, where a chip's read-out wants classes
            apart; the neurons between stand for nothing.
        schedule: the steps in which the population promises to spike, at most; None: it may at
            any step. Design rules alone count on it.
    """

    name: str
    shape: Shape
    neuron: NeuronModel | None = None
    minimum: int = 0
    maximum: int = 1
    rate_scale: float = 1.0
    potential_scale: float | Array = 1.0
    potential_offset: int | Array = 0
    readout_step: int = 1
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        self.freeze_arrays()

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def is_input(self) -> bool:
        """Whether spikes come from outside."""
        return self.neuron is None

    def neuron_as(self, *kinds: type[Model]) -> Model:
        """The neuron model, which is one of `kinds`.

        Raises:
            NetworkError: when it is another.
        """
        if isinstance(self.neuron, kinds):
            return self.neuron
        found = "an input" if self.neuron is None else self.neuron.kind
        wanted = " or ".join(each.kind for each in kinds)
        raise NetworkError([f"{found} where {wanted} is needed; lower the network first"], where=self.name)

    @property
    def spike_range(self) -> tuple[int, int]:
        """Smallest and largest value one neuron can send in one step."""
        return (self.minimum, self.maximum) if self.neuron is None else (0, self.neuron.largest_spike)

    def faults(self) -> list[str]:
        """What is wrong with the population by itself."""
        found = []
        if len(self.shape) not in (1, 3) or any(size < 1 for size in self.shape):
            found.append(f"shape {self.shape} is neither (C, H, W) nor (N,) with sizes above 0")
        elif self.neuron is not None:
            found += self.neuron.faults(self.shape)
        if self.minimum > self.maximum:
            found.append(f"minimum {self.minimum} is above maximum {self.maximum}")
        if self.readout_step < 1:
            found.append(f"readout_step is {self.readout_step}, it must be at least 1")
        found += [] if self.schedule is None else self.schedule.faults()
        return [f"{self.name}: {fault}" for fault in found]


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Record):
    """Synapses from one population to another.

    At step t the target receives, from the spikes s of step `t - delay`::

        accumulator format ( 2**exponent * (synapses[-1] o ... o synapses[0])(s) )

    A negative exponent is an arithmetic right shift of the sum (floor).

    Attributes:
        source, target: population names.
        synapses: the chain of linear maps, in order of application; may be empty
            only when the shapes agree (a plain one-to-one connection of weight 1).
        delay: steps; 0 means the same step.
        exponent: power of two applied to the sum; not 0 only in integer networks.
        accumulator: format of the sum; None when it is exact.
    """

    source: str
    target: str
    synapses: tuple[Synapse, ...] = ()
    delay: int = 0
    exponent: int = 0
    accumulator: IntegerFormat | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "synapses", tuple(self.synapses))

    @property
    def name(self) -> str:
        """`source->target`."""
        return f"{self.source}->{self.target}"

    @property
    def is_integer(self) -> bool:
        """Whether all weights are integers."""
        return all(synapse.weight is None or synapse.weight.dtype.kind in "iu" for synapse in self.synapses)

    def shapes(self, in_shape: Shape) -> list[Shape]:
        """`in_shape` and the shape after each synapse of the chain.

        Raises:
            ShapeError: naming the synapse that does not fit.
        """
        found = [tuple(in_shape)]
        for synapse in self.synapses:
            found.append(synapse.out_shape(found[-1]))
        return found

    def apply(self, spikes: Array) -> Array:
        """The chain of maps alone, `[N, *in_shape]` to `[N, *out_shape]`; integers become int64, also by no maps."""
        spikes = spikes.astype(working_type(spikes), copy=False)
        for synapse in self.synapses:
            spikes = synapse.apply(spikes)
        return spikes

    def matrix(self, in_shape: Shape) -> csr_matrix:
        """The chain as one sparse matrix `[target neurons, source neurons]`."""
        from scipy.sparse import identity

        product: Any = identity(math.prod(in_shape), dtype=np.int64, format="csr")
        for synapse, shape in zip(self.synapses, self.shapes(in_shape), strict=False):
            product = synapse.matrix(shape) @ product
        unrolled: csr_matrix = product.tocsr()
        return unrolled

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """Synapses that one spike of each source neuron drives, `[*in_shape]`.

        Paths through the chain are counted: through a sum-pool followed by a
        convolution, a spike drives the synapses of its pooled position.
        """
        shapes = self.shapes(in_shape)
        if not self.synapses:
            return np.ones(in_shape, dtype=np.int64)
        counts = self.synapses[-1].fan_out(shapes[-2])
        for synapse, shape in zip(reversed(self.synapses[:-1]), reversed(shapes[:-2]), strict=True):
            targets, sources, _ = synapse.entries(shape)
            before = np.zeros(math.prod(shape), dtype=np.int64)
            np.add.at(before, sources, counts.ravel()[targets])
            counts = before.reshape(shape)
        return counts

    def faults(self, source: Population, target: Population) -> list[str]:
        """What is wrong with the projection between these two populations."""
        found = []
        try:
            shape = self.shapes(source.shape)[-1]
            if shape != target.shape:
                found.append(f"delivers shape {shape}, {target.name} has {target.shape}")
        except ShapeError as error:
            found.append(str(error))
        found += [
            f"{synapse.kind} has weights that are NaN or infinite"
            for synapse in self.synapses
            if synapse.weight is not None and not np.all(np.isfinite(synapse.weight))
        ]
        if target.is_input:
            found.append(f"enters {target.name}, which is an input")
        if self.delay < 0:
            found.append(f"delay is {self.delay}, it must be at least 0")
        if self.exponent and not self.is_integer:
            found.append(f"exponent {self.exponent} with weights that are not integers")
        return [f"{self.name}: {fault}" for fault in found]


@dataclass(frozen=True, eq=False)
class Network(Record):
    """Populations and projections; validated when made.

    Attributes:
        name: what reports call it.
        populations: in any order; `Network.order` sorts them.
        projections: at most one per (source, target, delay) is not required:
            parallel projections add.
        outputs: names of the populations that are read out; default: those
            that project nowhere.
        notes: what importing, converting and quantizing had to tell, one sentence
            each; carried along to the report.

    Raises:
        NetworkError: with all faults at once.
    """

    name: str
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    _by_name: dict[str, Population] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", tuple(self.populations))
        object.__setattr__(self, "projections", tuple(self.projections))
        object.__setattr__(self, "_by_name", {p.name: p for p in self.populations})
        outputs = self.outputs or self._sinks()
        object.__setattr__(self, "outputs", tuple(outputs))
        faults = list(self._faults())
        if faults:
            raise NetworkError(faults, where=self.name)

    def _sinks(self) -> tuple[str, ...]:
        sources = {p.source for p in self.projections if p.source != p.target}
        return tuple(p.name for p in self.populations if p.name not in sources and not p.is_input)

    def _faults(self) -> Iterator[str]:
        if not self.populations:
            yield "it has no populations"
        names = [p.name for p in self.populations]
        yield from (
            f"{name}: the name is used {names.count(name)} times"
            for name in sorted(set(names))
            if names.count(name) > 1
        )
        for population in self.populations:
            yield from population.faults()
            if not population.is_input and not self.into(population.name):
                yield f"{population.name}: no projection enters it"
        for projection in self.projections:
            ends = [end for end in (projection.source, projection.target) if end not in self._by_name]
            if ends:
                yield f"{projection.name}: there is no population {ends[0]!r}"
            else:
                yield from projection.faults(self[projection.source], self[projection.target])
        yield from (f"output {name!r} is no population" for name in self.outputs if name not in self._by_name)
        if not any(p.is_input for p in self.populations):
            yield "it has no input population (neuron=None)"
        if not self.outputs:
            yield "it has no output: every population projects on; name them in outputs="
        loop = _instant_cycle(names, self.projections)
        if loop:
            yield f"cycle without delay: {' -> '.join(loop)}; give one of its projections a delay of at least 1"

    def __getitem__(self, name: str) -> Population:
        try:
            return self._by_name[name]
        except KeyError:
            raise NetworkError([f"there is no population {name!r} among {', '.join(self._by_name)}"]) from None

    def into(self, name: str) -> tuple[Projection, ...]:
        """The projections that enter population `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def out_of(self, name: str) -> tuple[Projection, ...]:
        """The projections that leave population `name`."""
        return tuple(p for p in self.projections if p.source == name)

    @property
    def inputs(self) -> tuple[Population, ...]:
        """Populations whose spikes come from outside."""
        return tuple(p for p in self.populations if p.is_input)

    @property
    def is_integer(self) -> bool:
        """Whether all weights and neuron parameters are integers."""
        neurons = (p.neuron for p in self.populations if p.neuron is not None)
        return all(p.is_integer for p in self.projections) and all(n.is_integer for n in neurons)

    @property
    def has_cycle(self) -> bool:
        """Whether spikes can come back to a population they left, over any delays."""
        return self.order(instant_only=False) is None

    def order(self, *, instant_only: bool = True) -> tuple[Population, ...] | None:
        """Populations sorted so that sources come before targets.

        Args:
            instant_only: heed only projections of delay 0 (always possible in a
                valid network); otherwise all, and None is returned if there is a cycle.
        """
        edges = [(p.source, p.target) for p in self.projections if not (instant_only and p.delay)]
        names = _topological([p.name for p in self.populations], edges)
        return None if names is None else tuple(self[name] for name in names)

    def latency(self) -> int:
        """Steps from the last input spike to the last output spike it can cause.

        A run of T input steps lasts `T + latency()` steps. Without cycles this is the
        largest sum of delays on any way from an input to an output; with cycles,
        where there is no last one, the largest over the outputs of the smallest sum.
        """
        better = min if self.has_cycle else max
        total: dict[str, int] = {p.name: 0 for p in self.inputs}
        for _ in self.populations:
            for projection in self.projections:
                if projection.source in total:
                    arrival = total[projection.source] + projection.delay
                    total[projection.target] = better(arrival, total.get(projection.target, arrival))
        return max(total.get(name, 0) for name in self.outputs)

    def summary(self) -> str:
        """A table of populations with their inputs, sizes and parameters."""
        from nmdeploy.report.summary import network_summary

        return network_summary(self)


def _topological(names: list[str], edges: Iterable[tuple[str, str]]) -> list[str] | None:
    """Kahn's algorithm, stable in the order of `names`; None if there is a cycle."""
    waiting = {name: set[str]() for name in names}
    for source, target in edges:
        if source in waiting and target in waiting:
            waiting[target].add(source)
    done: list[str] = []
    while waiting:
        ready = next((name for name, sources in waiting.items() if not sources), None)
        if ready is None:
            return None
        done.append(ready)
        del waiting[ready]
        for sources in waiting.values():
            sources.discard(ready)
    return done


def _instant_cycle(names: list[str], projections: Iterable[Projection]) -> list[str] | None:
    """A cycle over delay-0 projections as a list of names, or None."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for projection in projections:
        if not projection.delay and projection.source in after and projection.target in after:
            after[projection.source].append(projection.target)
    for start in names:
        trail, seen = [(start, [start])], set[str]()
        while trail:
            here, path = trail.pop()
            for following in after[here]:
                if following == start:
                    return [*path, start]
                if following not in seen:
                    seen.add(following)
                    trail.append((following, [*path, following]))
    return None

"""From a float network of ideal neurons to integers that a chip can hold.

Every population gets one scale s (or one for each channel): the value of one unit of
its potential. Weights, threshold, bias, v_init and v_min become `round(value / s)`.
Because they share s, the neuron's equation keeps its form, and the network decides as
before but for rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.bounds import projection_bound
from nmdeploy.convert.channels import ChainWeights, chain_weights
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, Number
from nmdeploy.synapses import Array
from nmdeploy.target import Precision
from quantize import (
    Bound,
    Format,
    IntegerFormat,
    Interval,
    MantissaExponentFormat,
    QuantizeError,
    Rounding,
    ScaleMethod,
    count_clipped,
    find_scale,
    quantize_values,
    round_to_integer,
)

_MARGIN = 1 + 2.0**-8
"""A scale that has to be widened is widened by this much more, so that rounding does not undo it at once."""

_EXACT = 1e-9
"""A threshold that differs by no more than this share differs by the errors of float64 alone."""

Scale = float | NDArray[np.float64]
"""One number, or an array that broadcasts against what it divides."""


def to_integers(
    network: Network,
    precision: Precision,
    *,
    method: ScaleMethod = ScaleMethod.MAX,
    percentile: float = 99.9,
    per_channel: bool | None = None,
    scales: Mapping[str, float] | None = None,
) -> Network:
    """Bring a float network to the integers of a chip.

    Of all projections into a population, the one that needs the widest scale decides;
    threshold and bias widen it where they would not fit their formats, and so does the
    proven sum of one step where the chip limits it. Where thresholds have a mantissa and
    an exponent, a scale is widened a little more (at most by 2**(1 - mantissa bits)), so
    that the threshold is exact. A projection
    without weights (pooling alone, or nothing) gets its weight of 1 as an explicit
    `OneToOne`. An integer network that fits the formats is returned as it is.

    Args:
        network: populations of `IF` and `Integrator` neurons; at most one synapse with
            weights in each projection.
        precision: the chip's formats and rounding.
        method: how the scale of a projection's weights is searched.
        percentile: for that method.
        per_channel: whether each channel of a population has its own scale, except where
            a projection turns channels into others after its weights; None: where the
            chip can do that at no cost.
        scales: of populations for which one has been found already; widened only where threshold or
            bias would not fit.

    Returns:
        The integer network. `potential_scale` is set; notes tell of scales that had to
        be widened, of thresholds that a mantissa rounds, of weights that all became 0,
        and of the share of weights clipped.

    Raises:
        QuantizationError: naming the population or projection: a threshold rounds to 0,
            the chip has no bias and the network does, a projection has several synapses
            with weights, a neuron is not an ideal one, an integer network does not fit.
        UsageError: for scales per channel on a chip whose thresholds cannot differ
            within a population.
    """
    if per_channel and not precision.per_channel:
        hint = "quantize with one scale a population (per_channel=False)"
        raise UsageError("the chip's thresholds cannot differ within a population", found="per_channel=True", hint=hint)
    if network.is_integer:
        _check_fits(network, precision)
        return network
    if per_channel is None:
        per_channel = precision.per_channel and not precision.per_channel_costs
    with _located("method"):
        search = _Search(precision, ScaleMethod(method), percentile, per_channel, scales or {})
    populations: dict[str, Population] = {}
    arriving: dict[str, Iterator[Projection]] = {}
    notes = list(network.notes)
    for population in network.populations:
        if population.neuron is None:
            populations[population.name] = population
            continue
        with _located(population.name):
            layer = _Layer(network, population, search)
            populations[population.name] = layer.integer_population()
            projections, told = layer.integer_projections()
        arriving[population.name] = iter(projections)
        notes += told
    return dataclasses.replace(
        network,
        populations=tuple(populations.values()),
        projections=tuple(next(arriving[projection.target]) for projection in network.projections),
        notes=tuple(notes),
    )


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Errors of the integer floor, told with the population they concern."""
    try:
        yield
    except QuantizeError as error:
        raise QuantizationError(str(error), where=where) from error


@dataclass(frozen=True)
class _Search:
    """How scales are searched."""

    precision: Precision
    method: ScaleMethod
    percentile: float
    per_channel: bool
    known: Mapping[str, float]

    def of_weights(self, rows: Array) -> Array:
        """The scale that each row of weights asks for; 0 for one that asks for nothing."""
        return _needed(rows, self.precision.weights, self.method, self.percentile)

    def of_parameter(self, rows: Array, form: Format) -> Array:
        """The smallest scale at which each row of a parameter fits: a clipped threshold is another threshold."""
        power = self.method is ScaleMethod.POWER_OF_TWO
        return _needed(rows, form, ScaleMethod.POWER_OF_TWO if power else ScaleMethod.MAX, 100)


def _needed(rows: Array, form: Format, method: ScaleMethod, percentile: float) -> Array:
    scale = np.ravel(find_scale(rows, form, method, percentile=percentile, axis=0))
    return np.where(rows.any(axis=1), scale, 0.0)


class _Layer:
    """A population with the projections that enter it, and the scale they share."""

    def __init__(self, network: Network, population: Population, search: _Search) -> None:
        self.population, self.search, self.precision = population, search, search.precision
        self.neuron = ideal_neuron(population, search.precision)
        self.incoming = [chain_weights(network, projection) for projection in network.into(population.name)]
        known = search.known.get(population.name)
        per_channel = search.per_channel and all(weights.keep_channels for weights in self.incoming)
        self.channels = population.shape[0] if per_channel and known is None else 1
        asked = [search.of_weights(w.rows(self.channels)) for w in self.incoming]
        self.for_weights: Array = np.max(asked, axis=0) if known is None else np.array([known])
        self.for_parameters = {
            name: search.of_parameter(self._rows(value), form)
            for name, value, form in _formatted(self.neuron, self.precision)
        }
        steps = np.max([self.for_weights, *self.for_parameters.values()], axis=0)
        self._set_steps(np.where(steps > 0, steps, 1.0))
        self._widen_for_sums(network)

    def _set_steps(self, steps: Array) -> None:
        """Take these scales, `asked` for, with those of `_aligned` in use."""
        self.asked, self.steps = steps, self._aligned(steps)

    def _aligned(self, steps: Array) -> Array:
        """Scales widened until the threshold is exactly a mantissa times a power of two.

        Only where the mantissa has its full width, so that the scale grows by less than
        2**(1 - mantissa bits) of itself; a smaller threshold is rounded as any integer is.
        """
        form = self.precision.threshold
        if not isinstance(form, MantissaExponentFormat) or not isinstance(self.neuron, IF):
            return steps
        rows = self._rows(self.neuron.threshold)
        quotient = rows[:, 0] / steps
        below = form.nearest(quotient, Rounding.FLOOR)
        alike = rows.min(axis=1) == rows.max(axis=1)
        full = quotient >= 1 << (form.mantissa_bits - 1)
        powers = self.search.method is ScaleMethod.POWER_OF_TWO
        return np.where(alike & full & (not powers), rows[:, 0] / np.maximum(below, 1), steps)

    def _widen_for_sums(self, network: Network) -> None:
        """Widen the scale until the proven sum of one step stays within the chip's accumulator.

        Rounding can add half a unit for each weight, so the proof is made on the
        integers themselves, and repeated with a wider scale where it fails.
        """
        limit = self.precision.step_sum
        while limit is not None:
            bounds = [
                projection_bound(network, weights.with_weight(self._rounded(weights))) for weights in self.incoming
            ]
            worst = self._largest_sums(sum(bounds[1:], start=bounds[0]))
            excess = worst.astype(np.float64) / limit
            if np.all(excess <= 1):
                return
            wider = np.where(excess > 1, excess * _MARGIN, 1.0)
            if self.search.method is ScaleMethod.POWER_OF_TWO:
                wider = np.exp2(np.ceil(np.log2(wider)))
            self._set_steps(self.steps * wider)
            self.for_parameters["sum of one step"] = self.asked

    def _largest_sums(self, total: Bound) -> Array:
        """The largest magnitude of one step's sum in each channel, the subtraction of a spike included."""
        lower = total.lower
        if self.precision.subtraction_in_sum and isinstance(self.neuron, IF) and self.neuron.reset == "subtract":
            threshold = quantize_values(np.asarray(self.neuron.threshold), self.scale, self.precision.threshold)
            lower = lower - threshold.astype(np.int64)
        largest: Array = np.maximum(np.abs(lower), np.abs(total.upper)).reshape(self.channels, -1).max(axis=1)
        return largest

    def _rounded(self, weights: ChainWeights) -> Array:
        """The integers of a projection's weights at the present scale."""
        scale = self.steps[weights.channels] if self.channels > 1 else float(self.steps[0])
        return quantize_values(weights.weight, scale, self.precision.weights, self.precision.rounding)

    def _rows(self, value: Number) -> Array:
        return np.broadcast_to(value, self.population.shape).reshape(self.channels, -1)

    @property
    def scale(self) -> Scale:
        """The scale, to divide what has the population's shape."""
        if self.channels == 1:
            return float(self.steps[0])
        return self.steps.reshape(-1, *[1] * (len(self.population.shape) - 1))

    def integer_population(self) -> Population:
        """The population in units of its scale."""
        rounding = self.precision.rounding
        changed: dict[str, Number] = {"bias": 0}
        for name, value, form in _formatted(self.neuron, self.precision):
            changed[name] = _number(quantize_values(np.asarray(value), self.scale, form, rounding))
        for name in ("v_init", "v_min"):
            real = getattr(self.neuron, name, None)
            if real is not None:
                changed[name] = _number(round_to_integer(np.asarray(real) / self.scale, rounding))
        if np.any(np.less(changed.get("threshold", 1), 1)):
            raise self._threshold_vanishes()
        neuron = dataclasses.replace(self.neuron, **changed)  # type: ignore[arg-type]
        scale = self.scale * self.population.potential_scale
        return dataclasses.replace(self.population, neuron=neuron, potential_scale=scale)

    def _threshold_vanishes(self) -> QuantizationError:
        threshold = getattr(self.neuron, "threshold", 0)
        return QuantizationError(
            "threshold rounds to 0",
            where=self.population.name,
            found=f"{np.min(threshold / self.scale):.3g} units of a weight",
            limit="at least 1 after rounding",
            hint="its weights are too large beside it: normalize the network, search scales by 'percentile' or 'mse', "
            f"or choose a chip with more than {self.precision.weights.bits} weight bits",
        )

    def integer_projections(self) -> tuple[list[Projection], list[str]]:
        """The projections in units of the scale, and what there is to tell."""
        made: list[Projection] = []
        notes: list[str] = []
        for weights in self.incoming:
            scale = self.steps[weights.channels] if self.channels > 1 else float(self.steps[0])
            integers = self._rounded(weights)
            clipped = count_clipped(weights.weight, scale, self.precision.weights, self.precision.rounding)
            made.append(weights.with_weight(integers))
            notes += _losses(weights, integers, clipped)
        return made, [*self._compromises(made), *notes]

    def _compromises(self, made: list[Projection]) -> Iterator[str]:
        """Why the scale is not the one that the weights asked for, and what it costs the threshold."""
        name, form = self.population.name, self.precision.weights
        if self.search.per_channel and not all(weights.keep_channels for weights in self.incoming):
            yield f"{name}: one scale for all channels, since a projection reshapes them after its weights"
        for parameter, needed in self.for_parameters.items():
            widened = (needed == self.asked) & (needed > self.for_weights) & (self.for_weights > 0)
            if np.any(widened):
                factor = float(np.max(needed[widened] / self.for_weights[widened]))
                share = f" in {np.count_nonzero(widened)} of {self.channels} channels" if self.channels > 1 else ""
                yield (
                    f"{name}: its {parameter} needs a scale {factor:.3g} times that of the weights{share}; "
                    f"the weights use {_bits_in_use(made, form)} of {form.bits} bits"
                )
        if (error := self._threshold_error()) > _EXACT:
            yield f"{name}: its threshold is rounded by up to {error:.2%}, to a mantissa times a power of two"

    def _threshold_error(self) -> float:
        """The largest share by which rounding to mantissa and exponent changes a threshold."""
        form = self.precision.threshold
        if not isinstance(form, MantissaExponentFormat) or not isinstance(self.neuron, IF):
            return 0.0
        real = np.asarray(self.neuron.threshold)
        kept = quantize_values(real, self.scale, form, self.precision.rounding) * self.scale
        return float(np.max(np.abs(kept / real - 1)))


def ideal_neuron(population: Population, precision: Precision) -> IF | Integrator:
    """The population's neuron, an ideal one, with no bias if the chip has none."""
    neuron = population.neuron
    if not isinstance(neuron, (IF, Integrator)):
        raise QuantizationError(
            "only ideal neurons (IF, Integrator) become integers",
            where=population.name,
            found=neuron.kind if neuron else None,
            hint="quantize before lowering to a chip",
        )
    if precision.bias is None and np.any(neuron.bias):
        raise QuantizationError(
            "the chip's neurons have no bias",
            where=population.name,
            found=f"biases up to {np.max(np.abs(neuron.bias)):.3g}",
            hint=precision.without_bias,
        )
    return neuron


def _formatted(neuron: IF | Integrator, precision: Precision) -> list[tuple[str, Number, Format]]:
    """The parameters that the chip keeps in a format of their own: name, value, format."""
    found: list[tuple[str, Number, Format]] = []
    if isinstance(neuron, IF):
        found.append(("threshold", neuron.threshold, precision.threshold))
    if precision.bias is not None:
        found.append(("bias", neuron.bias, precision.bias))
    return found


def _number(integers: Array) -> Number:
    """An array of integers as int64, a single one as Python's `int`."""
    return int(integers) if integers.ndim == 0 else integers.astype(np.int64)


def _losses(weights: ChainWeights, integers: Array, clipped: int) -> Iterator[str]:
    name = weights.projection.name
    if not np.any(integers):
        if weights.implied:
            raise QuantizationError(
                "the projection's weight of 1 rounds to 0",
                where=name,
                hint="other weights into the same population are too large beside it: normalize the network",
            )
        yield f"{name}: every weight is 0 after rounding"
    if clipped:
        yield f"{name}: {clipped / integers.size:.2%} of the weights are clipped"


def _bits_in_use(projections: list[Projection], form: IntegerFormat) -> int:
    """Width of the narrowest format of the same sign that holds all weights."""
    weights = [synapse.weight for projection in projections for synapse in projection.synapses]
    held = [Interval(int(weight.min()), int(weight.max())) for weight in weights if weight is not None]
    bits = max(interval.bits for interval in held)
    return bits if form.signed else bits - 1


def _check_fits(network: Network, precision: Precision) -> None:
    """Raise unless the formats hold every parameter of an integer network."""
    for projection in network.projections:
        for synapse in projection.synapses:
            if synapse.weight is not None:
                _check_holds(projection.name, f"{synapse.kind} weights", synapse.weight, precision.weights)
    for population in network.populations:
        if population.neuron is not None:
            for name, value, form in _formatted(ideal_neuron(population, precision), precision):
                _check_holds(population.name, name, np.asarray(value), form)


def _check_holds(where: str, what: str, values: Array, form: Format) -> None:
    if not form.holds(values):
        powers = ", a mantissa times a power of two" if isinstance(form, MantissaExponentFormat) else ""
        raise QuantizationError(
            f"{what} of a network that is already integer do not fit {form.bits} bits",
            where=where,
            found=f"{values.min()}..{values.max()}",
            limit=f"{form.minimum}..{form.maximum}{powers}",
            hint="quantize the float network for this chip",
        )

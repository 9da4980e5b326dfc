"""Bounds of networks: never left by any run, and attained by the worst one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.bounds import coincident_bound, population_bound, potential_bound, projection_bound
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import EmulationOverflow, QuantizationError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from quantize import IntegerFormat, Interval, Overflow

IMAGE = (2, 5, 6)
SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("conv", "grouped", "transposed", "dense", "scale")


def weights(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def chain(kind, rng):
    """One synapse with weights, behind others without."""
    flat = Reshape((60,))
    return {
        "conv": (Conv2d(weights(rng, 3, 2, 3, 2), stride=(1, 2), padding=(1, 0, 2, 1)),),
        "grouped": (SumPool2d(2), Conv2d(weights(rng, 4, 1, 2, 2), groups=2)),
        "transposed": (ConvTranspose2d(weights(rng, 2, 2, 3, 3), stride=2, padding=1),),
        "dense": (flat, Dense(weights(rng, 7, 60)), OneToOne(np.array([-3]))),
        "scale": (Upsample2d((2, 1)), OneToOne(weights(rng, 2, 1, 1))),
    }[kind]


def network_of(synapses, neuron=None, source=None, **settings):
    source = source or Population("in", IMAGE)
    projection = Projection("in", "out", synapses, **settings)
    target = Population("out", projection.shapes(source.shape)[-1], neuron or IF(1000))
    return Network("net", (source, target), (projection,))


def spikes(rng, population, samples=20):
    least, most = population.spike_range
    return rng.integers(min(least, 0), max(most, 0) + 1, (samples, *population.shape))


@settings(max_examples=40)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from([(0, 1), (0, 15), (-1, 2), (2, 5), (-4, -3)]))
def test_sums_stay_within_their_bounds(seed, kind, ends):
    rng = np.random.default_rng(seed)
    network = network_of(chain(kind, rng), source=Population("in", IMAGE, minimum=ends[0], maximum=ends[1]))
    projection = network.projections[0]
    bound = projection_bound(network, projection)
    sums = projection.apply(spikes(rng, network["in"]))
    assert bound.lower.shape == bound.upper.shape == network["out"].shape
    assert np.all((bound.lower <= sums) & (sums <= bound.upper))


@settings(max_examples=30)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from([(0, 1), (-1, 2)]))
def test_bounds_are_attained(seed, kind, ends):
    """By the unrolled matrix: each neuron's worst input is what its weights' signs ask for."""
    rng = np.random.default_rng(seed)
    network = network_of(chain(kind, rng), source=Population("in", IMAGE, minimum=ends[0], maximum=ends[1]))
    projection = network.projections[0]
    bound = projection_bound(network, projection)
    matrix = projection.matrix(IMAGE).toarray()
    worst = np.where(matrix > 0, ends[0], ends[1])
    best = np.where(matrix > 0, ends[1], ends[0])
    np.testing.assert_array_equal(bound.lower.ravel(), (matrix * worst).sum(axis=1))
    np.testing.assert_array_equal(bound.upper.ravel(), (matrix * best).sum(axis=1))
    pattern = np.abs(matrix).sum(axis=1).max() * max(abs(ends[0]), abs(ends[1]))
    assert kind not in ("conv", "transposed") or bound.magnitude == pattern


def test_the_magnitude_covers_the_middle_of_the_chain():
    pooled = network_of((SumPool2d((5, 6)), OneToOne(np.array([[[1]], [[0]]], dtype=np.int8))))
    bound = projection_bound(pooled, pooled.projections[0])
    np.testing.assert_array_equal(bound.upper.ravel(), [30, 0])
    assert bound.magnitude == 30
    silenced = network_of((SumPool2d((5, 6)), OneToOne(np.zeros(1, dtype=np.int8))))
    bound = projection_bound(silenced, silenced.projections[0])
    assert (bound.interval, bound.magnitude) == (Interval(0, 0), 30)


def test_cancelling_weights_count_in_the_magnitude():
    network = network_of((Reshape((60,)), Dense(np.tile(np.array([100, -100], dtype=np.int8), (1, 30)))))
    bound = projection_bound(network, network.projections[0])
    assert (bound.interval, bound.magnitude) == (Interval(-3000, 3000), 6000)


def test_an_empty_chain_delivers_the_spikes():
    bound = projection_bound(
        *(lambda n: (n, n.projections[0]))(network_of((), source=Population("in", (3,), maximum=7)))
    )
    assert (bound.interval, bound.magnitude) == (Interval(0, 7), 7)


def test_silence_belongs_to_every_range():
    """Before the first spike and after the last, even an input of 2..5 delivers 0."""
    network = network_of((), source=Population("in", (3,), minimum=2, maximum=5))
    assert projection_bound(network, network.projections[0]).interval == Interval(0, 5)


def test_neurons_send_what_their_model_can():
    source = Population("in", (4,))
    middle, out = Population("mid", (4,), IF(3)), Population("out", (2,), Integrator())
    last = Projection("mid", "out", (Dense(np.array([[5, -2, 1, 1], [-1, -1, -1, -1]])),))
    network = Network("net", (source, middle, out), (Projection("in", "mid"), last))
    bound = projection_bound(network, last)
    np.testing.assert_array_equal(bound.lower, [-2, -4])
    np.testing.assert_array_equal(bound.upper, [7, 0])
    integrator = Network(
        "net", (source, replace(middle, neuron=Integrator()), out), network.projections, outputs=("mid", "out")
    )
    assert projection_bound(integrator, last).interval == Interval(0, 0)


@pytest.mark.parametrize("weight", [2**53 + 1, 2**62 + 1])
@pytest.mark.parametrize("kind", ["conv", "dense", "scale", "transposed"])
def test_huge_weights_are_bounded_exactly(kind, weight, rng):
    synapses = [s if s.weight is None else s.with_weight(s.weight.astype(np.int64)) for s in chain(kind, rng)]
    big = next(i for i, s in enumerate(synapses) if s.weight is not None)
    enlarged = synapses[big].weight.copy()
    enlarged.flat[0] = weight
    synapses[big] = synapses[big].with_weight(enlarged)
    network = network_of(tuple(synapses[: big + 1]))
    bound = projection_bound(network, network.projections[0])
    rows = [
        synapse.entries(shape) for synapse, shape in zip(synapses, network.projections[0].shapes(IMAGE), strict=False)
    ]
    outputs, _, values = rows[big]
    highest = [0] * network["out"].size
    lowest = [0] * network["out"].size
    for output, value in zip(outputs.tolist(), values.tolist(), strict=True):
        highest[output] += max(value, 0)
        lowest[output] += min(value, 0)
    assert [int(v) for v in bound.upper.ravel()] == highest
    assert [int(v) for v in bound.lower.ravel()] == lowest
    assert bound.magnitude == max(h - low for h, low in zip(highest, lowest, strict=True))


DENSE = np.array([[9, -4], [-7, -1], [1, 1]], dtype=np.int8)


def two_projections(**settings):
    populations = (Population("in", (2,)), Population("skip", (3,), maximum=4), Population("out", (3,), IF(10)))
    return Network(
        "net",
        populations,
        (Projection("in", "out", (Dense(DENSE),), **settings), Projection("skip", "out", (OneToOne(np.array([-2])),))),
    )


def test_a_population_adds_its_projections():
    bound = population_bound(two_projections(), "out")
    np.testing.assert_array_equal(bound.lower, [-12, -16, -8])
    np.testing.assert_array_equal(bound.upper, [9, 0, 2])
    assert bound.magnitude == 9 + 8


@pytest.mark.parametrize(
    ("settings", "lower", "upper"),
    [
        ({"exponent": 3}, [-40, -72, -8], [72, 0, 16]),
        ({"exponent": -2}, [-9, -10, -8], [2, 0, 0]),
        ({"accumulator": IntegerFormat(3)}, [-12, -12, -8], [3, 0, 2]),
        ({"accumulator": IntegerFormat(3, overflow=Overflow.SATURATE)}, [-12, -12, -8], [3, 0, 2]),
        ({"accumulator": IntegerFormat(4, overflow=Overflow.WRAP)}, [-16, -16, -8], [7, 0, 2]),
        ({"accumulator": IntegerFormat(3, overflow=Overflow.WRAP)}, [-12, -12, -8], [3, 3, 2]),
        ({"exponent": 1, "accumulator": IntegerFormat(4, overflow=Overflow.WRAP)}, [-16, -16, -8], [7, 7, 4]),
    ],
)
def test_exponent_and_accumulator_shape_what_is_delivered(settings, lower, upper):
    bound = population_bound(two_projections(**settings), "out")
    np.testing.assert_array_equal(bound.lower, lower)
    np.testing.assert_array_equal(bound.upper, upper)


@settings(max_examples=40)
@given(SEEDS, st.integers(-6, 3), st.integers(3, 9), st.sampled_from([Overflow.WRAP, Overflow.SATURATE]))
def test_delivered_sums_stay_within_the_population_bound(seed, exponent, bits, overflow):
    rng = np.random.default_rng(seed)
    form = IntegerFormat(bits, overflow=overflow)
    network = network_of(chain("conv", rng), exponent=exponent, accumulator=form)
    sums = network.projections[0].apply(spikes(rng, network["in"], 30))
    delivered = form.apply(sums << exponent if exponent > 0 else sums >> -exponent)
    bound = population_bound(network, "out")
    assert np.all((bound.lower <= delivered) & (delivered <= bound.upper))


def numbers(rng, low, high, shape):
    return int(rng.integers(low, high + 1)) if rng.integers(2) else rng.integers(low, high + 1, shape)


@st.composite
def neurons(draw, shape):
    rng = np.random.default_rng(draw(SEEDS))
    form = draw(st.sampled_from([None, None, *Overflow]))
    potential = form and IntegerFormat(draw(st.integers(4, 12)), draw(st.booleans()), form)
    shared = {"bias": numbers(rng, -30, 30, shape), "v_init": numbers(rng, -200, 200, shape), "potential": potential}
    if draw(st.booleans()):
        return Integrator(**shared)
    return IF(
        threshold=numbers(rng, 1, 300, shape),
        v_min=draw(st.sampled_from([None, 0, -50])),
        reset=draw(st.sampled_from(["subtract", "zero"])),
        fire=draw(st.sampled_from([">=", ">"])),
        refractory=draw(st.sampled_from([0, 2])),
        **shared,
    )


@settings(max_examples=300)
@given(SEEDS, neurons((3,)), st.integers(1, 12), st.sampled_from(["random", "low", "high", "swing"]))
def test_potentials_stay_within_their_bounds(seed, neuron, steps, habit):
    """Whatever the currents do; the potential before reset stays within the magnitude."""
    rng = np.random.default_rng(seed)
    network = network_of((Dense(weights(rng, 3, 4)),), neuron, Population("in", (4,)))
    current, bound = population_bound(network, "out"), potential_bound(network, "out", steps)
    state = neuron.initial_state((8, 3), np.dtype(np.int64))
    for step in range(steps):
        extreme = {"low": current.lower, "high": current.upper, "swing": (current.upper, current.lower)[step % 2]}
        drive = rng.integers(current.lower, current.upper + 1, (8, 3))
        drive = drive if habit == "random" else np.broadcast_to(extreme[habit], (8, 3))
        assert np.abs(state["v"] + drive + neuron.bias).max() <= bound.magnitude
        try:
            neuron.step(state, drive)
        except EmulationOverflow:
            return  # the run ends here
        assert np.all((bound.lower <= state["v"]) & (state["v"] <= bound.upper))


def single(neuron, weight=(3, -5), steps=10):
    network = network_of((Dense(np.array([weight])),), neuron, Population("in", (2,)))
    return potential_bound(network, "out", steps)


def ends(bound):
    return int(bound.lower[0]), int(bound.upper[0])


def test_integrators_are_bounded_tightly():
    assert ends(single(Integrator())) == (-50, 30)
    assert ends(single(Integrator(bias=1, v_init=7))) == (7 - 40, 7 + 40)
    assert ends(single(Integrator(bias=10))) == (0, 130)
    assert ends(single(Integrator(v_init=7), steps=0)) == (7, 7)
    assert single(Integrator(v_init=7), steps=0).magnitude == 7 + 5


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (IF(1000), (-50, 30)),
        (IF(30), (-50, 29)),
        (IF(31), (-50, 30)),
        (IF(30, fire=">"), (-50, 30)),
        (IF(20), (-50, 19)),
        (IF(20, v_min=-8), (-8, 19)),
        (IF(20, v_init=15), (-45, 19)),
        (IF(40, v_init=45), (-45, 45)),
        (IF(2), (-50, 1 + 10)),
        (IF(2, reset="zero"), (-50, 1)),
        (IF(3), (-50, 2)),
        (IF(20, v_init=-100, v_min=-8), (-100, 19)),
        (IF(20, potential=IntegerFormat(5, overflow=Overflow.SATURATE)), (-16, 15)),
        (IF(10, potential=IntegerFormat(5)), (-16, 9)),
        (IF(20, potential=IntegerFormat(5, overflow=Overflow.WRAP)), (-16, 15)),
        (IF(20, potential=IntegerFormat(5, overflow=Overflow.WRAP), v_min=-4), (-4, 15)),
        (IF(20, potential=IntegerFormat(7, overflow=Overflow.WRAP)), (-50, 19)),
    ],
)
def test_potentials_of_firing_neurons(neuron, expected):
    assert ends(single(neuron)) == expected


def test_wrapping_starts_where_one_more_step_would_leave():
    """-50 less 5 is -55, and 19 and 3 are 22: six bits hold neither."""
    assert ends(single(IF(20, potential=IntegerFormat(6, overflow=Overflow.WRAP)))) == (-32, 31)


def test_runs_too_long_for_int64_are_told_exactly():
    bound = single(Integrator(v_init=2**62), steps=2**62)
    assert ends(bound) == (2**62 - 5 * 2**62, 2**62 + 3 * 2**62)
    assert bound.magnitude >= 2**63
    firing = single(IF(20), steps=2**62)
    assert ends(firing) == (-5 * 2**62, 19)


def test_bounds_follow_each_neuron():
    network = network_of((Dense(DENSE),), IF(np.array([5, 50, 500]), bias=np.array([0, 2, 0])), Population("in", (2,)))
    bound = potential_bound(network, "out", 10)
    np.testing.assert_array_equal(bound.lower, [-40, -60, 0])
    np.testing.assert_array_equal(bound.upper, [4 + 10 * 4, 20, 20])


def test_refusals():
    network = network_of((Dense(DENSE),), IF(10), Population("in", (2,)))
    real = network_of((Dense(DENSE * 0.5),), IF(10), Population("in", (2,)))
    with pytest.raises(QuantizationError, match="in->out: bounds are proven for integer weights only"):
        projection_bound(real, real.projections[0])
    with pytest.raises(UsageError, match="in: an input population receives no current"):
        population_bound(network, "in")
    with pytest.raises(UsageError, match="IF and Integrator neurons only"):
        potential_bound(network, "in", 3)
    with pytest.raises(UsageError, match="at least 0 steps"):
        potential_bound(network, "out", -1)
    half = network_of((Dense(DENSE),), IF(0.5), Population("in", (2,)))
    with pytest.raises(QuantizationError, match="out: bounds are proven for integers only"):
        potential_bound(half, "out", 3)


def clocked(rng, schedules):
    """Inputs of two neurons each, with delays and exponents, into one population."""
    names = [f"in{index}" for index in range(len(schedules))]
    sources = [
        Population(name, (2,), maximum=3, schedule=schedule) for name, schedule in zip(names, schedules, strict=True)
    ]
    projections = [
        Projection(name, "out", (Dense(weights(rng, 3, 2)),), int(rng.integers(0, 3)), int(rng.integers(0, 2)))
        for name in names
    ]
    return Network("clocked", (*sources, Population("out", (3,), IF(1000))), tuple(projections))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 4), st.sampled_from([None, 4, 6]))
def test_sums_of_what_is_on_schedule_stay_within_their_bound_and_attain_it(seed, count, period):
    rng = np.random.default_rng(seed)
    schedules = [
        None if rng.random() < 0.2 else Schedule(((int(rng.integers(0, 9)), int(rng.integers(1, 4))),), period)
        for _ in range(count)
    ]
    network = clocked(rng, schedules)
    bound, steps = coincident_bound(network, "out"), np.arange(40)
    ends = [np.zeros((len(steps), 3), np.int64), np.zeros((len(steps), 3), np.int64)]
    for projection in network.projections:
        schedule = network[projection.source].schedule
        may = np.ones(len(steps), bool) if schedule is None else schedule.allows(steps)
        weight = projection.synapses[0].weight.astype(np.int64) << projection.exponent
        for end, of_sign in zip(ends, (np.minimum(weight, 0), np.maximum(weight, 0)), strict=True):
            end[projection.delay :] += np.outer(may, 3 * of_sign.sum(axis=1))[: len(steps) - projection.delay]
    np.testing.assert_array_equal(bound.lower, ends[0].min(axis=0))
    np.testing.assert_array_equal(bound.upper, ends[1].max(axis=0))
    assert bound.magnitude >= bound.interval.magnitude
    proven = population_bound(network, "out")
    assert np.all((proven.lower <= bound.lower) & (bound.upper <= proven.upper))


def test_without_schedules_everything_coincides_and_without_spikes_nothing_comes():
    network = clocked(np.random.default_rng(0), [None, None])
    free, proven = coincident_bound(network, "out"), population_bound(network, "out")
    np.testing.assert_array_equal([free.lower, free.upper], [proven.lower, proven.upper])
    assert free.magnitude == proven.magnitude
    silent = coincident_bound(clocked(np.random.default_rng(0), [Schedule(), Schedule()]), "out")
    assert silent.interval == Interval(0, 0)
    with pytest.raises(UsageError, match="receives no current"):
        coincident_bound(network, "in0")


def test_the_engine_does_not_count_on_schedules():
    """A promise that is broken: sums beyond 16 bits are right all the same."""
    weight = np.full((1, 1), 30_000, np.int32)
    sources = [Population(f"in{index}", (1,), schedule=Schedule(((index, 1),))) for index in range(4)]
    out = Population("out", (1,), Integrator())
    network = Network(
        "broken", (*sources, out), tuple(Projection(each.name, "out", (Dense(weight),)) for each in sources)
    )
    assert coincident_bound(network, "out").interval == Interval(0, 30_000)
    together = {each.name: np.ones((3, 1, 1), np.uint8) for each in sources}
    for engine in ("reference", "fast"):
        assert emulate(network, together, engine=engine).final_potentials["out"].item() == 360_000

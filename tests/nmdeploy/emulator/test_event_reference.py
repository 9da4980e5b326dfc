"""What an emulation event by event means: worked by hand, and against a walk written from the chip's description."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import EventRule
from nmdeploy.synapses import Conv2d, Dense, SumPool2d
from quantize import IntegerFormat, Overflow

EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))
SIXTEEN = IntegerFormat(16, overflow=Overflow.SATURATE)
ENGINES = ("reference", "fast")


def rule(threshold=10, subtract="threshold", **others):
    subtract = threshold if subtract == "threshold" else subtract
    return EventRule(threshold, subtract, others.pop("low", -32768), others.pop("potential", SIXTEEN), **others)


@pytest.fixture
def one(by_event):
    """Makes a network of one input channel for each weight, into one neuron."""

    def make(*weights, v_init=0, most=65535, **rules):
        populations = (
            Population("in", (len(weights),), maximum=99),
            Population("out", (1,), by_event(rule(**rules), v_init, most)),
        )
        return Network("one", populations, (Projection("in", "out", (Dense(np.array([weights])),)),))

    return make


def run(network, raster, engine="fast", **options):
    """Spikes of the output, and its potentials, in a list of steps each, of one sample."""
    raster = np.array(raster)[:, None]
    found = emulate(network, raster, record=EVERYTHING, engine=engine, **options)
    return found.spikes["out"].ravel().tolist(), found.potentials["out"].ravel().tolist()


@pytest.mark.parametrize("engine", ENGINES)
class TestOneNeuron:
    def test_events_act_one_by_one(self, one, engine):
        # 4, 8, 12 fires, 2 | -3 | 1
        assert run(one(4, -5), [[3, 0], [0, 1], [1, 0]], engine) == ([1, 0, 0], [2, -3, 1])

    def test_a_sum_would_be_something_else(self, one, engine):
        # +30 fires and keeps 20, -30 leaves -10; summed in a step nothing would happen.
        assert run(one(30, -30), [[1, 1]], engine) == ([1], [-10])

    def test_what_is_left_above_the_threshold_fires_at_the_next_event(self, one, engine):
        # 35 fires, 25 | 25 fires, 15 | 15 - 1 fires, 4 | 4 - 1
        assert run(one(35, 0, -1), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], engine) == (
            [1, 1, 1, 0],
            [25, 15, 4, 3],
        )

    def test_events_of_weight_0_and_below_fire_nobody_where_the_rule_says_so(self, one, engine):
        network = one(35, 0, -1, fires_on_any=False)
        assert run(network, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], engine) == ([1, 0, 0, 1], [25, 25, 24, 49])

    def test_reset_to_zero(self, one, engine):
        assert run(one(35, 1, subtract=None), [[1, 0], [0, 1]], engine) == ([1, 0], [0, 1])

    def test_the_reset_subtracts_what_the_rule_says(self, one, engine):
        assert run(one(35, subtract=50), [[1], [1]], engine) == ([1, 1], [-15, -30])

    def test_a_threshold_of_none_never_fires(self, one, engine):
        assert run(one(30000, threshold=None), [[2]], engine) == ([0], [32767])

    def test_the_floor_holds_after_every_event(self, one, engine):
        # -5 stops at -3, then +4
        assert run(one(4, -5, low=-3), [[0, 2], [1, 0]], engine) == ([0, 0], [-3, 1])

    def test_the_floor_may_hold_for_ticks_alone(self, one, engine):
        assert run(one(4, -5, low=-3, clamps_events=False), [[0, 2]], engine) == ([0], [-10])
        assert run(one(4, -5, low=-3, clamps_events=False, leak=-1), [[0, 2]], engine) == ([0], [-3])

    @pytest.mark.parametrize(("overflow", "left"), [("saturate", 32767), ("wrap", -25536)])
    def test_overflow_is_what_the_format_says(self, one, engine, overflow, left):
        network = one(20000, threshold=None, potential=IntegerFormat(16, overflow=Overflow(overflow)))
        assert run(network, [[2]], engine)[1] == [left]

    def test_overflow_that_raises_names_its_place(self, one, engine):
        network = one(20000, threshold=None, potential=IntegerFormat(16))
        with pytest.raises(EmulationOverflow) as caught:
            emulate(network, np.array([[[0], [1]], [[0], [1]]]), engine=engine)
        assert str(caught.value) == (
            "out, step 1, sample 1, neuron (0,): membrane potential overflows (found 40000, limit -32768..32767)"
        )

    def test_more_spikes_in_a_step_than_the_neuron_can_tell(self, one, engine):
        with pytest.raises(EmulationOverflow) as caught:
            run(one(10, most=3), [[3], [4]], engine)
        assert str(caught.value) == (
            "out, step 1, sample 0, neuron (0,): more spikes of a neuron in one step than its model can tell "
            "(found 4, limit 3)"
        )

    def test_an_initial_potential_is_compared_when_an_event_arrives(self, one, engine):
        assert run(one(0, v_init=25), [[0], [1]], engine) == ([0, 1], [25, 15])

    def test_a_tick_ends_every_step(self, one, engine):
        # Nine ticks of -13 from 127 on, as a neuron of the chip was read; sinabs docs, leak_neuron.ipynb.
        network = one(0, threshold=127, v_init=127, leak=-13)
        assert run(network, [[0]] * 9, engine)[1] == [114, 101, 88, 75, 62, 49, 36, 23, 10]

    def test_a_tick_fires_nobody(self, one, engine):
        assert run(one(1, leak=6), [[0], [0], [1]], engine) == ([0, 0, 1], [6, 12, 9])

    def test_unless_the_rule_says_so(self, one, engine):
        assert run(one(1, leak=6, fires_on_tick=True), [[0], [0], [1]], engine) == ([0, 1, 0], [6, 2, 9])

    def test_ticks_go_on_when_the_input_is_silent(self, one, engine):
        assert run(one(1, leak=1), [[1]], engine, steps=3)[1] == [2, 3, 4]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_order_of_firing_matters_from_the_second_layer_on(by_event, engine):
    # One event fires both pixels; the next layer meets +10 and -7 or the other way round, and its floor is 0.
    def network(order):
        first = by_event(rule(5, order=order))
        populations = (
            Population("in", (1, 1, 1)),
            Population("mid", (2, 1, 2), first),
            Population("out", (1,), by_event(rule(10, low=0))),
        )
        spread = Conv2d(np.full((2, 1, 1, 2), 5), padding=(0, 0, 1, 1))
        weights = np.array([[0, 10, -7, 0]])  # channel 0: x = 0, 1; channel 1: x = 0, 1
        return Network(
            order,
            populations,
            (Projection("in", "mid", (spread,)), Projection("mid", "out", (reshape(4), Dense(weights)))),
        )

    # yxc: (x 0: c 0, c 1), (x 1: c 0, c 1) -> -7 before +10; cyx: c 0 (x 0, 1), then c 1 -> +10 before -7
    assert run(network("yxc"), [[[[1]]]], engine) == ([1], [0])
    assert run(network("cyx"), [[[[1]]]], engine) == ([1], [0])
    below = {order: replace(network(order)["out"], neuron=by_event(rule(11, low=0))) for order in ("yxc", "cyx")}
    for order, left in (("yxc", 10), ("cyx", 3)):
        made = network(order)
        assert run(replace(made, populations=(*made.populations[:2], below[order])), [[[[1]]]], engine) == ([0], [left])


def reshape(size):
    from nmdeploy.synapses import Reshape

    return Reshape((size,))


@pytest.mark.parametrize("engine", ENGINES)
def test_sources_are_merged_in_the_order_of_the_projections(by_event, engine):
    # Both middle neurons fire at the same input event; the output's floor is 0.
    middle = by_event(rule(1))
    populations = (
        Population("in", (1,)),
        Population("a", (1,), middle),
        Population("b", (1,), middle),
        Population("out", (1,), by_event(rule(99, low=0))),
    )
    one = (Dense(np.array([[1]])),)
    to_a, to_b = Projection("in", "a", one), Projection("in", "b", one)
    from_a, from_b = (
        Projection("a", "out", (Dense(np.array([[10]])),)),
        Projection("b", "out", (Dense(np.array([[-7]])),)),
    )
    for projections, left in (
        ((to_a, to_b, from_a, from_b), 3),
        ((to_a, to_b, from_b, from_a), 10),
        ((to_b, to_a, from_a, from_b), 3),  # not that of those before
    ):
        network = Network("merge", populations, projections)
        assert run(network, [[1]], engine)[1] == [left]
        # Input event by input event: -7 of the first comes before +10 of the second.
        assert run(network, [[1], [1]], engine)[1][-1] == 2 * left if left == 3 else 20 - 7


def test_two_projections_of_one_source_act_event_by_event(by_event):
    populations = (Population("in", (2,)), Population("out", (1,), by_event(rule(99, low=0))))
    first, second = (Dense(np.array([[5, -9]])),), (Dense(np.array([[2, 1]])),)
    network = Network("both", populations, (Projection("in", "out", first), Projection("in", "out", second)))
    # neuron 0: 5, 7; neuron 1: 0 (floor), 1
    for engine in ENGINES:
        assert run(network, [[1, 1]], engine)[1] == [1]


def test_neurons_that_fire_on_ticks_drive_the_next_layer_in_the_same_step(by_event):
    populations = (
        Population("in", (1,)),
        Population("mid", (1,), by_event(rule(5, leak=5, fires_on_tick=True))),
        Population("out", (1,), by_event(rule(99, leak=1, fires_on_tick=True))),
    )
    one = (Dense(np.array([[3]])),)
    network = Network("clocked", populations, (Projection("in", "mid", one), Projection("mid", "out", one)))
    for engine in ENGINES:
        assert run(network, [[0], [0]], engine)[1] == [4, 8]  # own tick, then the event of the other's


class Walk:
    """A chain of layers as the chip's description has it, for one schedule: nothing is shared with nmdeploy's engines.

    For every event (c, x, y) a core visits every (f, ox, oy, kx, ky) with ox*sx + kx - px == x and
    oy*sy + ky - py == y, row by row, column by column, feature by feature.
    """

    def __init__(self, network):
        self.layers = []
        for projection in network.projections:
            pool = projection.synapses[0].kernel[0] if len(projection.synapses) == 2 else 1
            conv, target = projection.synapses[-1], network[projection.target]
            source = network[projection.source].shape
            pooled = (source[1] // pool, source[2] // pool)
            self.layers.append((pool, pooled, conv, target.shape, target.neuron.rule, np.zeros(target.shape, int)))
        self.sent = [[] for _ in self.layers]

    def take(self, index, event):
        """The events that a core sends on one event."""
        pool, pooled, conv, (features, height, width), how, v = self.layers[index]
        c, y, x = event[0], event[1] // pool, event[2] // pool
        out = []
        if y >= pooled[0] or x >= pooled[1]:  # beyond the last whole window
            return out
        for oy in range(height):
            for ox in range(width):
                ky = y - oy * conv.stride[0] + conv.padding[0]
                kx = x - ox * conv.stride[1] + conv.padding[2]
                if not (0 <= ky < conv.weight.shape[2] and 0 <= kx < conv.weight.shape[3]):
                    continue
                for f in range(features):
                    u = max(v[f, oy, ox] + int(conv.weight[f, c, ky, kx]), how.low)
                    if u >= how.threshold:
                        out.append((f, oy, ox))
                        u = u - how.subtract if how.subtract is not None else 0
                    v[f, oy, ox] = u
        self.sent[index] += out
        return out

    def breadth_first(self, events):
        for index in range(len(self.layers)):
            events = [sent for event in events for sent in self.take(index, event)]

    def depth_first(self, events):
        for event in events:
            self._descend(0, event)

    def _descend(self, index, event):
        for sent in self.take(index, event):
            if index + 1 < len(self.layers):
                self._descend(index + 1, sent)

    def global_queue(self, events):
        queue = deque((0, event) for event in events)
        while queue:
            index, event = queue.popleft()
            sent = self.take(index, event)
            queue.extend((index + 1, each) for each in sent if index + 1 < len(self.layers))


@st.composite
def chains(draw, by_event):
    """Two or three layers of convolutions with pools, and one sample's raster."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))
    shape, populations, projections = (2, 7, 6), [Population("in", (2, 7, 6), maximum=2)], []
    for index in range(draw(st.integers(2, 3))):
        pool = draw(st.sampled_from((1, 2))) if min(shape[1:]) > 1 else 1
        pooled = shape if pool == 1 else SumPool2d(pool).out_shape(shape)
        kernel = min(draw(st.integers(1, 3)), *pooled[1:])
        weight = rng.integers(-6, 12, (draw(st.integers(1, 3)), shape[0], kernel, kernel))
        conv = Conv2d(weight, stride=draw(st.sampled_from((1, 2))), padding=draw(st.integers(0, 1)))
        shape = conv.out_shape(pooled)
        threshold = draw(st.integers(1, 15))
        subtract = draw(st.sampled_from((threshold, None)))
        how = rule(threshold, subtract, low=draw(st.sampled_from((-30, -3, 0))))
        populations.append(Population(f"p{index}", shape, by_event(how)))
        chain = (conv,) if pool == 1 else (SumPool2d(pool), conv)
        projections.append(Projection(populations[-2].name, f"p{index}", chain))
    raster = rng.integers(0, 3, (1, 1, 2, 7, 6)) * (rng.random((1, 1, 2, 7, 6)) < 0.6)
    return Network("chain", tuple(populations), tuple(projections)), raster


def test_a_walk_by_the_description_gives_the_same_under_every_schedule(by_event):
    spiking = []

    @settings(max_examples=40)
    @given(case=chains(by_event), schedule=st.sampled_from(("breadth_first", "depth_first", "global_queue")))
    def check(case, schedule):
        network, raster = case
        found = emulate(network, raster, record=EVERYTHING, engine="reference")
        walk = Walk(network)
        getattr(walk, schedule)(in_order(raster[0, 0]))
        for (*_, shape, _, v), sent, population in zip(walk.layers, walk.sent, network.populations[1:], strict=True):
            counts = np.zeros(shape, int)
            np.add.at(counts, tuple(np.array(sent, int).reshape(-1, 3).T), 1)
            np.testing.assert_array_equal(found.counts[population.name][0], counts)
            np.testing.assert_array_equal(found.potentials[population.name][0, 0], v)
            spiking.append(counts.any())

    check()
    assert np.mean(spiking) > 0.5


def in_order(raster):
    """The events of one step as documented: highest counts first, each count's sweep repeated."""
    events = []
    for count in range(int(raster.max()), 0, -1):
        sweep = [tuple(place) for place in np.argwhere(raster == count)]
        events += sweep * count
    return events


def test_without_inhibition_counts_need_no_order(by_event):
    """weights >= 0, reset by subtraction, no weight above the threshold: floor((v0 + sum) / threshold) spikes."""

    @settings(max_examples=20)
    @given(
        seed=st.integers(0, 2**32 - 1),
        threshold=st.integers(1, 40),
        order=st.permutations("cyx").map("".join),
        engine=st.sampled_from(ENGINES),
    )
    def check(seed, threshold, order, engine):
        rng = np.random.Generator(np.random.PCG64(seed))
        v_init = int(rng.integers(0, threshold))
        layers = [Population("in", (2, 5, 5), maximum=3)]
        projections = []
        for index in range(3):
            conv = Conv2d(rng.integers(0, threshold + 1, (2, 2, 2, 2)))
            shape = conv.out_shape(layers[-1].shape)
            neuron = by_event(rule(threshold, order=order), v_init)
            layers.append(Population(f"p{index}", shape, neuron))
            projections.append(Projection(layers[-2].name, layers[-1].name, (conv,)))
        network = Network("up", tuple(layers), tuple(projections))
        found = emulate(network, rng.integers(0, 4, (3, 1, 2, 5, 5)), record=EVERYTHING, engine=engine)
        for projection in projections:
            total = v_init + projection.apply(found.counts[projection.source])
            np.testing.assert_array_equal(found.counts[projection.target], total // threshold)
            np.testing.assert_array_equal(found.potentials[projection.target][-1], total % threshold)

    check()

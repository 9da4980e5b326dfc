"""Events and time of random placed networks, recounted spike by spike."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.cost import Range
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.loihi import TARGET
from targets.loihi.cost.wiring import Wiring
from targets.loihi.neuron import LoihiLIF

CHIPS = TARGET.chips()
EVERY_SPIKE = Recording(spikes=("*",), counts=("*",))
COUNTS = Recording(counts=("*",))


POPULATIONS = {"in": (1, 4, 4), "conv": (2, 2, 2), "pool": (8,), "out": (3,)}


@st.composite
def cases(draw):
    """A network with delays, a loop, zero weights and parallel ways, anywhere on up to two chips; its inputs."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def weights(*shape):
        values = generator.integers(-20, 40, shape)
        return np.where(generator.random(shape) < 0.3, 0, values).astype(np.int8)

    def delay():
        return int(generator.integers(1, 4))

    bias = draw(st.sampled_from([0, 3]))
    neuron = LoihiLIF(vth=30, bias_mant=bias, bias_exp=6, v_init=draw(st.sampled_from([0, 64])))
    network = Network(
        "random",
        (
            Population("in", POPULATIONS["in"]),
            *(Population(name, POPULATIONS[name], neuron) for name in ("conv", "pool", "out")),
        ),
        (
            Projection("in", "conv", (Conv2d(weights(2, 1, 3, 3)),), delay()),
            Projection("in", "pool", (SumPool2d((3, 3), (1, 1)), Reshape((4,)), Dense(weights(8, 4))), delay()),
            Projection("conv", "pool", (Reshape((8,)), OneToOne(weights(8))), delay()),
            Projection("conv", "out", (Reshape((8,)), Dense(weights(3, 8))), delay()),
            Projection("pool", "out", (Dense(weights(3, 8)),), delay()),
            Projection("pool", "out", (Dense(weights(3, 8)),), delay()),
            Projection("out", "out", (Dense(weights(3, 3)),), delay()),
        ),
        outputs=("out",),
    )
    chips, cores = draw(st.sampled_from([(1, 2), (1, 128), (2, 128)]))
    homes = {
        name: [(int(generator.integers(chips)), int(generator.integers(cores))) for _ in range(network[name].size)]
        for name in ("conv", "pool", "out")
    }
    inputs = (generator.random((draw(st.integers(1, 5)), 2, 1, 4, 4)) < draw(st.floats(0, 1))).astype(np.uint8)
    return network, homes, inputs


class Recount:
    """Events of one sample, spike by spike in plain Python; shares no code with the target."""

    def __init__(self, network, homes, result, sample):
        self.steps, self.homes, self.walks = result.steps, homes, {}
        self.places = sorted({place for cores in homes.values() for place in cores})
        self.needed = dict.fromkeys(result.synaptic_operations, 0)
        self.host = self.packets = self.crossing = self.local = self.east_west = self.north_south = 0
        self.least = dict.fromkeys(itertools.product(range(self.steps), self.places), 0.0)
        self.most = dict(self.least)
        reached = {
            (name, neuron) for name in homes for neuron in range(network[name].size) if self.driven(network[name])
        }
        fired = 0
        for name, spikes in result.spikes.items():
            for step, neuron in np.argwhere(spikes[:, sample].reshape(self.steps, -1)).tolist():
                if name in homes:
                    fired += 1
                    reached.add((name, neuron))
                    self.least[step, homes[name][neuron]] += 3.1
                cores = set()
                for projection in network.out_of(name):
                    walk = (id(projection), neuron)
                    if walk not in self.walks:
                        self.walks[walk] = self.targets(network, projection, neuron)
                    targets = self.walks[walk]
                    cores |= {homes[projection.target][target] for target, weight, _, _ in targets if weight}
                    arrival = step + projection.delay
                    if arrival < self.steps:
                        for target, weight, paths, open_paths in targets:
                            place = homes[projection.target][target]
                            self.most[arrival, place] += 3.5 * paths
                            if weight:
                                self.needed[projection.name] += 1
                                self.least[arrival, place] += 3.5
                            if open_paths:
                                reached.add((projection.target, target))
                for core in cores:
                    self.send(name, neuron, step, core)
        compartments = dict.fromkeys(self.places, 0)
        busy = dict(compartments)
        for name, cores in homes.items():
            for neuron, place in enumerate(cores):
                compartments[place] += 1
                busy[place] += (name, neuron) in reached
        self.active = Range(fired, len(reached) * self.steps)
        self.time = Range(
            sum(max(5.3 * compartments[p] + self.least[s, p] for p in self.places) for s in range(self.steps)),
            sum(
                max(5.3 * compartments[p] + 3.1 * busy[p] + self.most[s, p] for p in self.places)
                for s in range(self.steps)
            ),
        )

    @staticmethod
    def driven(population):
        return population.neuron.bias_mant != 0 or population.neuron.v_init != 0

    @staticmethod
    def targets(network, projection, neuron):
        """(target, whether the merged weight is other than zero, paths, paths of weights other than zero)."""
        unit = np.zeros((1, *network[projection.source].shape), dtype=np.int64)
        unit.flat[neuron] = 1
        weights = every = opened = unit
        for synapse in projection.synapses:
            weights = synapse.apply(weights)
            weighted = synapse.weight is not None
            every = (synapse.with_weight(np.ones_like(synapse.weight)) if weighted else synapse).apply(every)
            opened = (synapse.with_weight((synapse.weight != 0) * 1) if weighted else synapse).apply(opened)
        found = zip(weights.ravel().tolist(), every.ravel().tolist(), opened.ravel().tolist(), strict=True)
        return [(target, w != 0, paths, ways) for target, (w, paths, ways) in enumerate(found) if paths]

    def send(self, name, neuron, step, core):
        if name not in self.homes:
            self.host += 1
            return
        self.packets += 1
        here = self.homes[name][neuron]
        if here[0] != core[0]:
            self.crossing += 1
            return
        (x, y), (to_x, to_y) = (divmod(place[1] // 4, 4) for place in (here, core))
        self.east_west += abs(x - to_x)
        self.north_south += abs(y - to_y)
        self.local += (x, y) == (to_x, to_y)
        self.most[step, here] += 2.1 + 4.1 * abs(x - to_x) + 6.5 * abs(y - to_y)


def mean(recounts, name):
    return pytest.approx(sum(getattr(each, name) for each in recounts) / len(recounts))


@given(case=cases())
@settings(max_examples=40)
def test_events_and_time_are_those_of_a_recount(case, deployed, items):
    network, homes, inputs = case
    result = emulate(network, inputs, record=EVERY_SPIKE)
    cost = TARGET.cost(deployed(network, homes), result)
    recounts = [Recount(network, homes, result, sample) for sample in range(2)]
    found = items(cost)
    for name, operations in result.synaptic_operations.items():
        count = found[f"synaptic operations {name}"].count
        assert count.most == operations.sum() / 2
        assert count.least == sum(each.needed[name] for each in recounts) / 2
    assert found["input spikes to cores"].count.most == mean(recounts, "host")
    assert found["spikes from core to core"].count.most == mean(recounts, "packets")
    assert found["spikes within a tile"].count.least == mean(recounts, "local")
    on_chip = sum(each.packets - each.crossing for each in recounts) / 2
    assert found["spikes within a tile"].count.most == pytest.approx(on_chip)
    assert found["tile hops east-west"].count.most == mean(recounts, "east_west")
    assert found["tile hops north-south"].count.most == mean(recounts, "north_south")
    crossing = found["of them between chips"].count.most if "of them between chips" in found else 0
    assert crossing == mean(recounts, "crossing")
    active = [each.active for each in recounts]
    assert found["active among them"].count == Range(sum(a.least for a in active) / 2, sum(a.most for a in active) / 2)
    barriers = found["barriers"].time
    assert cost.time.least - barriers.least == pytest.approx(sum(each.time.least for each in recounts) / 2 * 1e-9)
    assert cost.time.most - barriers.most == pytest.approx(sum(each.time.most for each in recounts) / 2 * 1e-9)


@given(case=cases())
@settings(max_examples=40)
def test_without_steps_the_same_events_and_a_time_that_holds_the_true_one(case, deployed):
    network, homes, inputs = case
    deployment = deployed(network, homes)
    known = TARGET.cost(deployment, emulate(network, inputs, record=EVERY_SPIKE))
    bounded = TARGET.cost(deployment, emulate(network, inputs, record=COUNTS))
    slack = 1 + 1e-9
    assert bounded.time.least <= known.time.least * slack
    assert known.time.most <= bounded.time.most * slack
    for exact, loose in zip(known.items, bounded.items, strict=True):
        assert exact.event == loose.event
        if exact.count is not None:
            assert loose.count.least <= exact.count.least <= exact.count.most <= loose.count.most
    told = [sentence for sentence in bounded.assumptions if sentence not in known.assumptions]
    assert len(told) == 1
    assert "did not keep every step" in told[0]


@given(case=cases())
@settings(max_examples=40)
def test_synapses_of_all_cores_are_the_fan_out(case, deployed):
    network, homes, _ = case
    wiring = Wiring.of(network, deployed(network, homes).placement, CHIPS["loihi1"])
    for fan, projection in zip(wiring.fans, network.projections, strict=True):
        shape = network[projection.source].shape
        assert np.array_equal(np.asarray(fan.every.sum(axis=0)).ravel(), projection.fan_out(shape).ravel())
        assert np.all(fan.needed.toarray() <= fan.every.toarray())

"""Exact mode on Speck, event by event: counts, logits and potentials in any order of events, and within 16 bits."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.bundle import load, save
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, early_spikes, mismatches, quantize_activations, stream, to_exact
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import FitError, QuantizationError, UsageError
from nmdeploy.example import with_example_vectors
from nmdeploy.inference import infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.pipeline import Recipe, place
from nmdeploy.schedule import off_schedule
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from nmdeploy.target import Grade
from targets.dynapcnn.neuron import NO_FLOOR, STATE
from targets.dynapcnn.order_free import order_free

CHIP = nm.chip("speck2f")
RULES = CHIP.target.exact_rules(CHIP.chip, CHIP.profile)
COUNTED = Recording(counts=(ALL,))


@dataclass
class Case:
    """A network in exact mode on the chip."""

    ann: object
    exact: object
    deployment: object

    @classmethod
    def of(cls, ann):
        exact = to_exact(ann, RULES, DeterministicRate())
        deployment = nm.deploy(exact.network, CHIP, encoder=exact.encoder, steps=exact.steps)
        return cls(ann, exact, deployment)

    def wrong(self, samples, network=None):
        """Counts and logits that differ from the quantized network's."""
        inputs, network = self.exact.inputs(samples), network or self.deployment.network
        run = nm.emulate(network, inputs, record=COUNTED)
        return sum(mismatches(self.ann, network, inputs["in"].sum(axis=0, dtype=np.int64), run).values())


class Draw:
    """Layers that cores can hold: at most four hidden ones, each of which takes two."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one_of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def weight(self, *shape):
        shift = self.one_of(-0.5, 0.0, 0.0, 0.3, 2.0)  # layers that stay silent, and layers that saturate
        return (self.rng.normal(size=shape) + shift) * self.one_of(0.5, 1.5) / np.sqrt(np.prod(shape[1:]))

    def neuron(self, shape):
        spread = self.one_of(0.0, 0.2, 1.0)
        bias = self.rng.normal(size=self.one_of(shape[:1] + (1,) * (len(shape) - 1), shape)) * spread if spread else 0.0
        return IF(float(self.one_of(1.0, 0.7)), bias=bias)

    def dense(self, shape):
        size, width = int(np.prod(shape)), self.one_of(3, 5, 8)
        return (Reshape((size,)), Dense(self.weight(width, size)))

    def conv(self, shape):
        pool = (SumPool2d(2),) if min(shape[1:]) >= 4 and self.one_of(True, False) else ()
        kernel = self.one_of(1, 3) if min(shape[1:]) == 1 else self.one_of(1, 2, 3)
        weight = self.weight(self.one_of(2, 3), shape[0], kernel, kernel)
        return (*pool, Conv2d(weight, stride=self.one_of(1, 1, 2), padding=(kernel - 1) // 2))

    def network(self):
        populations = [Population("in", self.one_of((7,), (1, 6, 6), (2, 4, 4)))]
        projections = []
        for index in range(self.one_of(1, 2, 3)):
            source, name = populations[-1], f"p{index}"
            flat = len(source.shape) == 1 or self.one_of(True, False, False)
            chain = self.dense(source.shape) if flat else self.conv(source.shape)
            shape = Projection("", "", chain).shapes(source.shape)[-1]
            populations.append(Population(name, shape, self.neuron(shape)))
            projections.append(Projection(source.name, name, chain))
        source = populations[-1]
        populations.append(Population("out", (4,), Integrator(bias=self.rng.normal(size=4))))
        size = int(np.prod(source.shape))
        projections.append(Projection(source.name, "out", (Reshape((size,)), Dense(self.weight(4, size)))))
        return Network("random", tuple(populations), tuple(projections))

    def samples(self, network, count=3):
        """Noise, an empty and a full sample."""
        x = self.rng.random((count, *network["in"].shape))
        x[0], x[-1] = 0, 1
        return x


def residual(rng, pooled=False):
    """Two blocks, the second with the identity of the first beside its convolution."""

    def kernel(features, channels):
        return (Conv2d(rng.normal(size=(features, channels, 3, 3)) / 3, padding=1),)

    pool = (SumPool2d(2),) if pooled else ()
    return Network(
        "residual",
        (
            Population("in", (1, 4, 4)),
            Population("a", (2, 4, 4), IF(1.0, bias=rng.normal(size=(2, 1, 1)) / 4)),
            Population("b", (2, 4, 4), IF(0.8)),
            Population("c", (2, 4, 4), IF(1.0)),
            Population("out", (3,), Integrator()),
        ),
        (
            Projection("in", "a", kernel(2, 1)),
            Projection("a", "b", kernel(2, 2)),
            Projection("b", "c", kernel(2, 2)),
            Projection("a", "c", (OneToOne(np.full(1, 0.7)),)),
            Projection(
                "c", "out", (*pool, Reshape((8 if pooled else 32,)), Dense(rng.normal(size=(3, 8 if pooled else 32))))
            ),
        ),
    )


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 16), steps=st.integers(1, 32))
def test_no_count_and_no_logit_differs(seed, levels, steps):
    draw = Draw(seed)
    network = draw.network()
    case = Case.of(quantize_activations(network, RULES, levels=levels, input_steps=steps))
    samples = draw.samples(network)
    assert case.wrong(samples) == 0
    assert case.wrong(samples, case.exact.network) == 0
    orders = CHIP.target.orders(case.deployment.network)
    other = list(orders)[1 + seed % (len(orders) - 1)]
    assert case.wrong(samples, orders[other]) == 0
    assert not any(early_spikes(case.deployment, samples).values())
    layers = {each.name for each in case.deployment.network.populations if not each.is_input}
    assert order_free(case.deployment.network, case.exact.encoder, case.exact.steps) == layers


@pytest.mark.parametrize("pooled", [False, True])
def test_residual_networks_are_exact_and_proven(pooled):
    rng = np.random.default_rng(3)
    case = Case.of(quantize_activations(residual(rng, pooled), RULES, levels=6, input_steps=9))
    samples = rng.random((20, 1, 4, 4))
    assert case.wrong(samples) == 0
    for network in CHIP.target.orders(case.deployment.network).values():
        assert case.wrong(samples[:5], network) == 0
    assert CHIP.target.exactness(case.deployment).grade is Grade.EXACT


class AnyOrder:
    """A chip that takes the events of a step in an order of chance, over all cores: nothing but `SpeckIAF` is kept."""

    def __init__(self, network, rng):
        self.network, self.rng = network, rng
        self.into = {each.name: [] for each in network.populations}
        for projection in network.projections:
            matrix = projection.matrix(network[projection.source].shape).toarray()
            self.into[projection.source].append((projection.target, matrix))
        self.cores = {p.name: p.neuron for p in network.populations if not p.is_input}

    def run(self, inputs):
        """Spikes of each step by population, and final potentials, of one sample whose potentials keep to 16 bits."""
        neurons = self.cores.items()
        v = {name: np.broadcast_to(n.v_init, self.network[name].shape).ravel().astype(int) for name, n in neurons}
        steps = len(next(iter(inputs.values())))
        spikes = {name: np.zeros((steps, len(values)), dtype=int) for name, values in v.items()}
        for step in range(steps):
            waiting = []
            for name, train in inputs.items():
                for neuron in np.repeat(np.arange(train[step].size), train[step].ravel()):
                    waiting += self.sent(name, neuron)
            while waiting:
                target, row = waiting.pop(int(self.rng.integers(len(waiting))))
                rule, reached = self.cores[target], self.rng.permutation(np.flatnonzero(row))
                for neuron in reached:
                    potential = v[target][neuron] + row[neuron]
                    assert NO_FLOOR <= potential <= STATE.maximum, "no rail is met"
                    if potential >= rule.threshold_high:
                        spikes[target][step, neuron] += 1
                        waiting += self.sent(target, neuron)
                        potential = 0 if rule.return_to_zero else potential - rule.threshold_high
                    v[target][neuron] = potential
        return spikes, v

    def sent(self, name, neuron):
        return [(target, matrix[:, neuron]) for target, matrix in self.into[name]]


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 5))
def test_any_order_of_events_gives_the_same_spikes_and_stays_within_16_bits(seed, levels):
    rng = np.random.default_rng(seed)
    network = Network(
        "small",
        (
            Population("in", (1, 3, 3)),
            Population("a", (2, 3, 3), IF(1.0, bias=rng.normal(size=(2, 1, 1)) / 3)),
            Population("b", (4,), IF(0.8)),
            Population("out", (2,), Integrator(bias=rng.normal(size=2))),
        ),
        (
            Projection("in", "a", (Conv2d(rng.normal(size=(2, 1, 3, 3)) / 2, padding=1),)),
            Projection("a", "b", (Reshape((18,)), Dense(rng.normal(size=(4, 18)) / 3))),
            Projection("b", "out", (Dense(rng.normal(size=(2, 4))),)),
        ),
    )
    case = Case.of(quantize_activations(network, RULES, levels=levels, input_steps=4))
    inputs = case.exact.inputs(rng.random((1, 1, 3, 3)))
    lowered = case.deployment.network
    run = nm.emulate(lowered, inputs, record=Recording(spikes=(ALL,), potentials=(ALL,)))
    spikes, potentials = AnyOrder(lowered, rng).run({name: each[:, 0] for name, each in inputs.items()})
    for name, fired in spikes.items():
        np.testing.assert_array_equal(fired, run.spikes[name][:, 0].reshape(fired.shape))
        np.testing.assert_array_equal(potentials[name], run.potentials[name][-1].ravel())


def integer(step, weights, bias=0, levels=4, steps=8):
    """One hidden layer of given integers."""
    weights = np.asarray(weights)
    populations = (
        Population("in", (weights.shape[1],)),
        Population("a", (len(weights),), IF(step, bias=bias)),
        Population("out", (2,), Integrator(bias=np.array([5, -9]))),
    )
    projections = (
        Projection("in", "a", (Dense(weights),)),
        Projection("a", "out", (Dense(np.arange(2 * len(weights)).reshape(2, -1) - len(weights)),)),
    )
    return QuantizedAnn.proven(Network("given", populations, projections), levels, steps)


@pytest.mark.parametrize("step", [1, 2, 63, 64, 127, 128, 131, 254, 1009])
def test_every_step_can_be_had(step):
    """Also one that no number of events of more than one unit adds: 131 and 1009 are prime."""
    rng = np.random.default_rng(step)
    ann = integer(step, rng.integers(-127, 128, (6, 9)), bias=rng.integers(-500, 500, 6))
    assert Case.of(ann).wrong(rng.random((30, 9)).round(1)) == 0


def test_what_just_fits_is_exact_at_its_edges():
    """All the excitation and all the inhibition that 16 bits hold: 127 * 8 * 32 = 32,512."""
    weights = np.full((4, 32), 127)
    weights[1] *= -1
    weights[2, ::2] *= -1
    ann = integer(127, weights)
    assert RULES.excess(ann.layer("a"), 4, ann.reach["a"]) <= 1
    case = Case.of(ann)
    samples = np.stack([np.ones(32), np.zeros(32), np.arange(32) % 2.0])
    assert case.wrong(samples) == 0
    run = nm.emulate(case.deployment.network, case.exact.inputs(samples), record=Recording(potentials=(ALL,)))
    reached = run.potentials["a.sum"]
    assert NO_FLOOR <= reached.min() < -30_000
    assert 30_000 < reached.max() < RULES.threshold
    assert early_spikes(case.deployment, samples) == {"a.sum": 0}
    assert CHIP.target.exactness(case.deployment).grade is Grade.EXACT
    wider = integer(127, np.full((4, 33), 127))
    with pytest.raises(QuantizationError, match=r"cannot hold.*times the range.*divided by"):
        to_exact(wider, RULES, DeterministicRate())


def test_logits_have_16_bits_too():
    ann = integer(100, np.ones((4, 3), dtype=int))
    wide = replace(ann.network["out"], neuron=Integrator(bias=np.array([0, -32_641])))
    network = replace(ann.network, populations=(*ann.network.populations[:-1], wide))
    with pytest.raises(QuantizationError, match="out: the chip's potentials cannot hold"):
        to_exact(QuantizedAnn.proven(network, 4, 8), RULES, DeterministicRate())


def test_an_event_tells_127_levels_at_most():
    with pytest.raises(QuantizationError, match=r"more levels than one event can tell.*128.*127"):
        to_exact(integer(5, np.ones((2, 2), dtype=int), levels=128), RULES, DeterministicRate())
    assert Case.of(integer(5, np.full((2, 2), 40), levels=127)).wrong(np.array([[0.5, 0.25], [1, 1]])) == 0


def test_a_gate_of_many_events_takes_several_steps():
    ann = integer(3, np.full((2, 20), 127), levels=2)
    case = Case.of(ann)
    train = case.exact.encoder.clocks["a.sum.gate"]
    assert case.exact.network["a.sum.gate"].maximum == train.max()
    assert train.sum() == 160  # of 127 units each: 20 inputs of 127 in 8 steps, less 2 levels of 3
    small = Case.of(integer(70, np.full((2, 30), 127), levels=2))
    assert small.exact.encoder.clocks["a.sum.gate"].ravel().nonzero()[0].tolist() == [8, 9]
    for each, width in ((case, 20), (small, 30)):
        assert each.wrong(np.random.default_rng(0).random((20, width))) == 0


def test_clocks_keep_their_schedules_and_notes_tell_what_they_cost():
    rng = np.random.default_rng(5)
    case = Case.of(quantize_activations(residual(rng), RULES, levels=4, input_steps=8))
    inputs = case.exact.inputs(rng.random((4, 1, 4, 4)))
    run = nm.emulate(case.deployment.network, inputs, record=Recording(spikes=(ALL,)))
    kept = off_schedule(case.deployment.network, run)
    assert len(kept) > 10
    assert not any(kept.values())
    notes = [note for note in case.deployment.network.notes if "events of the host" in note]
    assert len(notes) == 3
    clocks = [name for name in case.exact.encoder.clocks if name.startswith("a.")]
    sent = sum(int(case.exact.encoder.clocks[name].sum()) for name in clocks)
    assert notes[0].startswith(f"a: {sent:,} events of the host an inference (gate ")


def branches(rng):
    """Two layers side by side, which fire at the same time."""

    def dense():
        return (Dense(rng.normal(size=(3, 3))),)

    return Network(
        "branches",
        (
            Population("in", (3,)),
            *(Population(name, (3,), IF(1.0)) for name in "abc"),
            Population("out", (3,), Integrator()),
        ),
        (
            *(Projection("in", name, dense()) for name in "ab"),
            *(Projection(name, "c", dense()) for name in "ab"),
            Projection("c", "out", dense()),
        ),
    )


@pytest.mark.parametrize(("network", "meeting"), [(residual, []), (branches, ["c.sum"])])
def test_cores_meet_one_source_at_a_time_but_for_branches(network, meeting):
    """The design rule against merging knows schedules; where it warns, exact mode is proven all the same."""
    case = Case.of(quantize_activations(network(np.random.default_rng(5)), RULES, levels=4, input_steps=8))
    assert [remark.where for remark in case.deployment.remarks if remark.code == "DYN045"] == meeting
    assert CHIP.target.exactness(case.deployment).grade is Grade.EXACT


def test_layers_that_cores_cannot_lay_out_are_told():
    chain = (Dense(np.ones((4, 4), dtype=int)), OneToOne(np.array([2])))
    network = Network(
        "two maps",
        (Population("in", (4,)), Population("a", (4,), IF(5)), Population("out", (2,), Integrator())),
        (Projection("in", "a", chain), Projection("a", "out", (Dense(np.ones((2, 4), dtype=int)),))),
    )
    with pytest.raises(FitError, match="DYN121"):
        to_exact(QuantizedAnn.proven(network, 4, 8), RULES, DeterministicRate())


@given(wanted=st.floats(1, 40_000))
def test_steps_are_the_largest_that_the_fewest_events_add(wanted):
    step = RULES.step(wanted)
    events = -(-min(int(wanted), RULES.threshold) // 127)
    assert step % events == 0
    assert step // events <= 127
    assert min(int(wanted), RULES.threshold) - events < step <= wanted


@pytest.mark.parametrize("bounds", ["proven", "sampled"])
def test_the_recipe_gives_a_bundle_that_remembers(tmp_path, bounds):
    rng = np.random.default_rng(11)
    recipe = Recipe(method="exact", levels=4, steps=8, bounds=bounds)
    samples = rng.random((20, 1, 4, 4))
    _, deployment = place(residual(rng), CHIP, recipe, calibration=samples)
    (latency,) = [note for note in deployment.network.notes if note.startswith("latency")]
    rest = deployment.steps - 8
    assert latency.startswith(
        f"latency: 8 input steps, 3 phases, {rest} steps in all, one after the other, and 0 steps"
    )
    assert not any("streamed" in note for note in deployment.network.notes)
    expected = infer(deployment, samples).result
    save(deployment, tmp_path / "exact.nmd")
    again = load(tmp_path / "exact.nmd")
    found = infer(again, samples).result
    np.testing.assert_array_equal(found.final_potentials["out"], expected.final_potentials["out"])
    assert CHIP.target.exactness(again) == CHIP.target.exactness(deployment)
    assert not any(early_spikes(deployment, samples).values())


def test_an_example_for_a_script_has_clocks_that_keep_time():
    case = Case.of(integer(30, np.full((3, 9), 20)))
    vectors = with_example_vectors(case.deployment).vectors
    for name, train in case.exact.encoder.clocks.items():
        np.testing.assert_array_equal(vectors.inputs[name][:, 0], train)
    counts = vectors.inputs["in"].sum(axis=0, dtype=np.int64)
    assert counts.any()
    np.testing.assert_array_equal(vectors.potentials["out"].reshape(1, -1), case.ann.counts(counts)["out"])


def test_spikes_before_the_gate_are_counted():
    """Bounds of half of what the samples reach."""
    ann = integer(30, np.full((3, 9), 60))
    reach = {name: replace(each, low=each.low // 2, high=each.high // 2) for name, each in ann.reach.items()}
    case = Case.of(replace(ann, reach=reach))
    early = early_spikes(case.deployment, np.stack([np.ones(9), np.zeros(9)]))
    assert early["a.sum"] == 3
    assert CHIP.target.exactness(case.deployment).grade is not Grade.EXACT


def test_samples_do_not_follow_each_other_in_one_run():
    exact = Case.of(integer(5, np.ones((2, 2), dtype=int))).exact
    with pytest.raises(UsageError, match="cannot follow each other in one run"):
        stream(exact)


@pytest.mark.parametrize("profile", ["leak", "readout", "step"])
def test_other_profiles_have_no_exact_mode(profile):
    assert CHIP.target.exact_rules(CHIP.chip, profile) is None


def test_the_same_holds_on_all_chips_of_the_family():
    rng = np.random.default_rng(1)
    network = Draw(7).network()
    for name in ("speck2e", "dynapcnndevkit"):
        choice = nm.chip(name)
        rules = choice.target.exact_rules(choice.chip, choice.profile)
        ann = quantize_activations(network, rules, levels=4, input_steps=8)
        exact = to_exact(ann, rules, DeterministicRate())
        deployment = nm.deploy(exact.network, choice, encoder=exact.encoder, steps=exact.steps)
        assert Case(ann, exact, deployment).wrong(rng.random((4, *network["in"].shape))) == 0
        assert order_free(deployment.network, exact.encoder, exact.steps)

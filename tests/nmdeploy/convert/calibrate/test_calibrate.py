"""Calibration as a whole: what it promises, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import Linear, Rectify
from nmdeploy.coding import ConstantCurrent, DeterministicRate, MembranePotential, Passthrough, SpikeCount
from nmdeploy.convert.calibrate import calibrate, loop, readout, search
from nmdeploy.convert.calibrate.ceilings import bounded_rates
from nmdeploy.convert.checks import FEW_SAMPLES
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.simulate import simulate
from nmdeploy.errors import DataError, NetworkError, ShapeError, UsageError
from nmdeploy.inference import default_readout, infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape
from nmdeploy.target import Lowered, Profile

STEPS = 8


@pytest.fixture(autouse=True)
def fewer_candidates(monkeypatch):
    """Six of the 36, so that a calibration takes a fraction of a second; `test_search` knows them all."""
    few = tuple(each for each in search.CANDIDATES if each.threshold in (0.6, 0.8, 1.0) and each.v_init < 0.5)
    assert len(few) == 6
    monkeypatch.setattr(search, "CANDIDATES", few)


def scores(network, samples, steps=STEPS):
    """What the network's potentials say, per input step."""
    return infer(network, samples, readout=MembranePotential(), steps=steps).decision.scores / steps


def far(found, wanted):
    """Mean square difference, as a share of what there is."""
    return np.mean((found - wanted) ** 2) / np.mean(wanted**2)


def test_the_chip_comes_much_nearer_to_the_trained_network(digits_like, spiking, images, loihi, on_chip):
    train, test = images[:60], images[60:]
    calibration = calibrate(spiking, train, loihi, steps=STEPS)
    wanted = run_graph(digits_like, test)["fc"]
    before = far(scores(on_chip(spiking, loihi), test), wanted)
    after = far(scores(on_chip(calibration.network, loihi), test), wanted)
    assert after < before / 8
    assert after < 0.03
    (layer,) = calibration.layers
    assert layer.name == "conv"
    assert 0 < layer.error < 0.5
    assert layer.gains[0] <= layer.gains[1]
    neuron = calibration.network["conv"].neuron
    assert neuron.threshold == pytest.approx(layer.threshold)
    assert neuron.v_init == pytest.approx(layer.threshold * layer.v_init)
    assert "calibrated for loihi1/chip and 8 steps on 60 samples" in calibration.network.notes


@pytest.mark.parametrize("name", ["loihi1/subtract", "loihi2", "loihi2/subtract"])
def test_every_profile_is_calibrated_with_its_own_reset(digits_like, images, name, on_chip):
    chip = nmdeploy.chip(name)
    network = to_spiking(digits_like, images, readout="potential", reset=chip.precision.resets[0])
    calibrated = calibrate(network, images, chip, steps=STEPS).network
    assert calibrated["conv"].neuron.reset == ("subtract" if "subtract" in name else "zero")
    assert f"calibrated for {name if '/' in name else name + '/chip'} and 8 steps on 80 samples" in calibrated.notes
    wanted = run_graph(digits_like, images)["fc"]
    assert far(scores(on_chip(calibrated, chip), images), wanted) < 0.03


def test_residual_concatenated_depthwise_and_bounded_layers(branched, residual, loihi, on_chip):
    network, samples = residual
    ceilings = bounded_rates(branched, network)
    assert ceilings == {"depthwise": pytest.approx(0.8 / network["depthwise"].rate_scale)}
    calibration = calibrate(network, samples, loihi, steps=16, ceilings=ceilings)
    output = branched["relu3"].inputs[0]
    wanted = run_graph(branched, samples, [output])[output].reshape(len(samples), -1)

    def potentials(each):
        lowered = on_chip(each, loihi)
        run = emulate(lowered, DeterministicRate().encode(samples, 16))
        name = lowered.outputs[0]
        return run.final_potentials[name].reshape(len(samples), -1) * lowered[name].potential_scale / 16

    assert far(potentials(calibration.network), wanted) < far(potentials(network), wanted) / 4
    assert [each.name for each in calibration.layers] == ["conv1", "depthwise"]


def test_float_integer_and_chip_have_the_same_timing(residual, loihi, on_chip):
    """The calibrated float network has the chip's delays; its integers do what the chip does."""
    network, samples = residual
    calibrated = calibrate(network, samples, loihi, steps=STEPS).network
    lowered = on_chip(calibrated, loihi)
    assert [each.delay for each in calibrated.projections] == [each.delay for each in lowered.projections]
    assert len({each.delay for each in calibrated.projections}) == 2  # the shortcut waits
    spikes = DeterministicRate().encode(samples, STEPS)
    integers = emulate(to_integers(calibrated, loihi.precision), spikes, record=Recording(spikes=("*",)))
    chip = emulate(lowered, spikes, record=Recording(spikes=("*",)))
    for name, wanted in integers.spikes.items():
        np.testing.assert_array_equal(chip.spikes[name], wanted)
    assert simulate(calibrated, spikes).steps == chip.steps == STEPS + calibrated.latency()


def test_biases_add_up_to_their_value_times_the_input_steps(loihi, rng):
    """A run takes T + latency steps, and so many times a bias is added."""
    populations = (
        Population("in", (4,)),
        Population("a", (3,), IF(1.0, np.full(3, 0.2, np.float32), reset="zero")),
        Population("out", (2,), Integrator(np.array([0.5, -0.25], np.float32))),
    )
    weights = rng.random((3, 4)), np.zeros((2, 3))
    network = Network(
        "n", populations, (Projection("in", "a", (Dense(weights[0]),)), Projection("a", "out", (Dense(weights[1]),)))
    )
    calibrated = calibrate(network, rng.random((12, 4)), loihi, steps=STEPS).network
    assert calibrated.latency() == 2
    np.testing.assert_allclose(calibrated["out"].neuron.bias, np.array([0.5, -0.25]) * 8 / 10)


def test_rectifiers_without_bounds_have_no_ceilings(digits_like, spiking):
    assert bounded_rates(digits_like, spiking) == {}


def test_another_target_brings_its_own_arithmetic(plain, digits_like, spiking, images, without_biases):
    """No latency, and in one profile no biases: nothing of Loihi is left in the loop."""
    has_bias = plain.profile == "bias"
    network = spiking if has_bias else without_biases(spiking)
    calibration = calibrate(network, images, plain, steps=STEPS)
    assert [each.delay for each in calibration.network.projections] == [0, 0]
    integers = to_integers(calibration.network, plain.precision)
    ideal = np.maximum(network.projections[0].apply(images) + np.asarray(network["conv"].neuron.bias), 0)
    wanted = network.projections[1].apply(ideal) + np.asarray(network["fc"].neuron.bias)
    assert far(scores(integers, images), wanted) < 0.03
    if has_bias:
        np.testing.assert_allclose(calibration.network["conv"].neuron.bias, network["conv"].neuron.bias)
    else:
        assert not any(np.any(each.neuron.bias) for each in calibration.network.populations[1:])


def test_a_target_may_add_connections_of_its_own(plain, spiking, images, without_biases, monkeypatch):
    """Lowering that needs self-connections, say: the float network then keeps its own delays."""

    def lower(network, chip, profile):
        extra = tuple(
            Projection(each.name, each.name, (OneToOne(np.zeros(1, np.int8)),), delay=1)
            for each in network.populations[1:]
        )
        return Lowered(replace(network, projections=(*network.projections, *extra)), Profile("plain/own", ()))

    network = without_biases(spiking)
    wanted = calibrate(network, images[:30], plain, steps=4)
    monkeypatch.setattr(plain.target, "lower", lower)
    found = calibrate(network, images[:30], plain, steps=4)
    assert found.network.projections == wanted.network.projections
    assert found.layers == wanted.layers


def test_graded_input_and_given_spikes(digits_like, images, loihi):
    graded = to_spiking(digits_like, images, input="current", readout="potential", reset="zero")
    assert calibrate(graded, images, loihi, steps=4).network["input"].maximum == 255
    spikes = ConstantCurrent(levels=1).encode(np.round(images), 4)
    given = to_spiking(digits_like, images, readout="potential", reset="zero")
    recorded = np.swapaxes(spikes, 0, 1)
    found = calibrate(given, recorded, loihi, steps=4, encoder=Passthrough())
    same = calibrate(given, np.round(images), loihi, steps=4, encoder=DeterministicRate())
    assert found.layers == same.layers


def test_the_seed_decides_and_nothing_else(spiking, images, loihi, monkeypatch):
    monkeypatch.setattr(loop, "SPIKE_BYTES", 20 * 16 * 256)  # 20 of the samples are drawn
    first, again, other = (calibrate(spiking, images, loihi, steps=2, seed=seed).network for seed in (3, 3, 4))
    assert first.populations == again.populations
    assert first.projections == again.projections
    assert other.projections != first.projections


def test_the_engine_can_be_another(spiking, images, loihi):
    runs = []

    def engine(network, inputs, *, steps, record):
        runs.append(network)
        return emulate(network, inputs, steps=steps, record=record, engine="reference")

    few = images[:6]
    slow = calibrate(spiking, few, loihi, steps=3, engine=engine)
    assert runs
    assert slow.network.projections == calibrate(spiking, few, loihi, steps=3).network.projections


def test_progress_ends_at_the_end_and_can_interrupt(spiking, images, loihi):
    seen = []
    calibrate(
        spiking, images, loihi, steps=4, choose_readout=True, progress=lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(spiking, images, loihi, steps=4, progress=stop)


def test_a_network_without_hidden_layers_has_nothing_to_search(loihi, rng):
    populations = (Population("in", (6,)), Population("out", (3,), Integrator()))
    network = Network("linear", populations, (Projection("in", "out", (Dense(rng.normal(size=(3, 6))),)),))
    seen = []
    found = calibrate(network, rng.random((60, 6)), loihi, steps=4, progress=lambda *pair: seen.append(pair))
    assert (found.layers, seen) == ((), [])


def test_the_read_out_is_the_one_that_decides_like_the_trained_network(spiking, images, loihi, on_chip):
    chosen = calibrate(spiking, images, loihi, steps=STEPS, choose_readout=True)
    assert default_readout(chosen.network) == MembranePotential()
    assert [each.name for each in chosen.layers] == ["conv"]


def test_an_output_fires_where_that_decides_better(images, loihi, monkeypatch, spiking):
    """A potential that lies is not chosen."""
    differing = iter([5, 4])
    monkeypatch.setattr(readout, "_differing", lambda *_: next(differing))
    chosen = calibrate(spiking, images, loihi, steps=STEPS, choose_readout=True)
    assert default_readout(chosen.network) == SpikeCount()
    assert [each.name for each in chosen.layers] == ["conv", "fc"]
    assert chosen.network["fc"].neuron.reset == "zero"


def test_an_output_that_is_never_positive_is_read_by_its_potential(digits_like, images, loihi, chain_of):
    nodes = {node.name: node.operation for node in digits_like.nodes[1:]}
    nodes["fc"] = Linear(nodes["fc"].synapse, np.full(5, -50.0))
    network = to_spiking(chain_of((1, 8, 8), **nodes), images, readout="potential", reset="zero")
    seen = []
    chosen = calibrate(
        network, images, loihi, steps=4, choose_readout=True, progress=lambda done, total: seen.append((done, total))
    )
    assert default_readout(chosen.network) == MembranePotential()
    assert seen[-1][0] == seen[-1][1] > seen[-2][0]


def test_a_spiking_output_is_calibrated_with_one_gain(digits_like, images, loihi):
    network = to_spiking(digits_like, images, reset="zero")
    layer = calibrate(network, images, loihi, steps=STEPS).layers[-1]
    assert layer.name == "fc"
    assert layer.gains[0] == layer.gains[1]


def test_few_samples_are_told_and_channels_share_a_gain(chain_of, images, loihi, rng):
    graph = chain_of(
        (1, 8, 8),
        flat=Linear(Reshape((64,))),
        hidden=Linear(Dense(rng.normal(size=(6, 64)) / 8)),
        relu=Rectify(),
        out=Linear(Dense(rng.normal(size=(3, 6)))),
    )
    few = images[:10]
    network = to_spiking(graph, few, readout="potential", reset="zero")
    found = calibrate(network, few, loihi, steps=4)
    notes = " ".join(found.network.notes)
    assert f"10 samples only; {FEW_SAMPLES} or more" in notes
    assert "hidden: one gain for all channels, since 10 observations of each are fewer than 20" in notes
    assert found.layers[0].gains[0] == found.layers[0].gains[1]


def test_a_layer_that_is_never_active_does_no_harm(chain_of, images, loihi, rng):
    graph = chain_of(
        (1, 8, 8),
        conv=Linear(Conv2d(-np.ones((2, 1, 3, 3)))),
        relu=Rectify(),
        flat=Linear(Reshape((72,))),
        fc=Linear(Dense(rng.normal(size=(3, 72))), np.array([0.1, 0.2, 0.3])),
    )
    network = to_spiking(graph, images, readout="potential", reset="zero")
    found = calibrate(network, images, loihi, steps=4)
    assert any("conv: never active on the calibration data" in note for note in found.network.notes)
    assert not any("never fires" in note for note in found.network.notes)
    assert found.layers[0].error == 0


def test_a_layer_that_cannot_fire_is_named(chain_of, images, loihi):
    """Only rare pixels matter to it, and in two steps none of them spikes often enough."""
    graph = chain_of(
        (1, 8, 8),
        conv=Linear(Conv2d(np.full((2, 1, 1, 1), 1.0))),
        relu=Rectify(),
        flat=Linear(Reshape((128,))),
        fc=Linear(Dense(np.ones((3, 128)))),
    )
    faint = images * 0.05
    network = to_spiking(graph, faint, readout="potential", reset="zero")
    notes = calibrate(network, faint, loihi, steps=2).network.notes
    assert any(note.startswith("conv: it never fires within 4 steps on loihi1/chip") for note in notes)


def test_a_network_deeper_than_its_run_is_told(chain_of, images, loihi):
    layers = {}
    for number in range(4):
        layers[f"scale{number}"] = Linear(Conv2d(np.full((1, 1, 1, 1), 1.0)))
        layers[f"relu{number}"] = Rectify()
    network = to_spiking(chain_of((1, 8, 8), **layers), images, readout="potential", reset="zero")
    told = [note for note in calibrate(network, images, loihi, steps=3).network.notes if "deeper" in note]
    assert len(told) == 1
    assert told[0].startswith("relu2: its first input arrives at step 3, after the 3 input steps")
    assert not any("deeper" in note for note in calibrate(network, images, loihi, steps=5).network.notes)


def test_memory_bounds_the_samples(spiking, images, loihi, monkeypatch):
    monkeypatch.setattr(loop, "SPIKE_BYTES", 30 * 16 * 256)
    found = calibrate(spiking, images, loihi, steps=4)
    assert found.samples == 30
    assert "calibrated on 30 of 80 samples, to bound the memory for spikes" in found.network.notes


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((1, 1, 8, 8)), "too few samples"),
        (np.zeros((0, 1, 8, 8)), "too few samples"),
        (np.full((9, 1, 8, 8), 0.5), "all samples are the same"),
    ],
)
def test_samples_that_nothing_can_be_learnt_from_are_refused(spiking, loihi, samples, message):
    with pytest.raises(DataError, match=message):
        calibrate(spiking, samples, loihi, steps=4)


def test_samples_of_another_shape_are_refused(spiking, images, loihi):
    with pytest.raises(ShapeError, match=r"another shape.*\(1, 8, 7\).*\(1, 8, 8\)"):
        calibrate(spiking, images[..., :7], loihi, steps=4)


def test_networks_that_cannot_be_calibrated_are_refused(spiking, images, loihi, on_chip):
    with pytest.raises(UsageError, match="an integer network cannot be calibrated"):
        calibrate(on_chip(spiking, loihi), images, loihi, steps=4)
    loop = Projection("conv", "conv", (Conv2d(np.ones((4, 4, 1, 1))),), delay=1)
    with pytest.raises(NetworkError, match="cycle"):
        calibrate(replace(spiking, projections=(*spiking.projections, loop)), images, loihi, steps=4)
    with pytest.raises(UsageError, match="needs one output"):
        calibrate(replace(spiking, outputs=("conv", "fc")), images, loihi, steps=4)
    with pytest.raises(UsageError, match="at least one step"):
        calibrate(spiking, images, loihi, steps=0)

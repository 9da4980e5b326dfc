import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from nmdeploy.ann.execute import run
from nmdeploy.ann.graph import Add, AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.coding import ConstantCurrent, DeterministicRate, MembranePotential, SpikeCount
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.simulate import simulate
from nmdeploy.errors import DataError, ModelError, ShapeError, UsageError
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape

STEPS = 1200


def rates(network, spikes):
    """Spikes per step of every population in the trained network's units."""
    record = Recording(spikes=(), counts=tuple(p.name for p in network.populations))
    result = simulate(network, spikes, record=record)
    return {p.name: result.counts[p.name] / len(spikes) * p.rate_scale for p in network.populations}, result


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("input", ["spikes", "current"])
def test_rates_approach_the_activations(digits_like, rng, low, input):
    samples = np.rint(rng.random((6, 1, 8, 8)) * 255) / 255 * (1 - low) + low
    network = to_spiking(digits_like, samples, normalization="max", input=input, input_range=(low, 1.0))
    kind = DeterministicRate if input == "spikes" else ConstantCurrent
    found, _ = rates(network, kind(low=low).encode(samples, STEPS))
    expected = run(digits_like, samples, ["relu", "fc"])
    # One spike is worth lambda / STEPS; counts may be off by a few.
    for name, node in (("conv", "relu"), ("fc", "fc")):
        assert np.abs(found[name] - np.maximum(expected[node], 0)).max() <= 5 * network[name].rate_scale / STEPS
    assert_allclose(found["input"] + low, samples, atol=2 / STEPS)


def test_branches_concatenation_padding_and_bounds_agree_too(branched, rng):
    samples = np.rint(rng.random((4, 2, 6, 6)) * 255) / 255
    network = to_spiking(branched, samples, normalization="max")
    found, _ = rates(network, DeterministicRate().encode(samples, STEPS))
    expected = run(branched, samples, ["relu1", "relu2", "relu3"])
    assert (expected["relu2"] == 0.8).any()
    for name, node in (("conv1", "relu1"), ("depthwise", "relu2"), ("conv2", "relu3")):
        assert np.abs(found[name] - expected[node]).max() <= 8 * network[name].rate_scale / STEPS


def test_the_error_falls_as_one_over_the_steps(digits_like, rng):
    samples = rng.random((6, 1, 8, 8))
    network = to_spiking(digits_like, samples, normalization="max")
    expected = np.maximum(run(digits_like, samples)["fc"], 0)
    errors = []
    for steps in (60, 1920):
        found, _ = rates(network, DeterministicRate().encode(samples, steps))
        errors.append(np.abs(found["fc"] - expected).mean())
    assert errors[1] < errors[0] / 10


def test_potentials_of_an_integrating_output_approach_the_logits(digits_like, rng):
    samples = rng.random((6, 1, 8, 8))
    network = to_spiking(digits_like, samples, normalization="max", readout="potential")
    assert isinstance(network["fc"].neuron, Integrator)
    assert network["fc"].rate_scale == 1.0
    _, result = rates(network, DeterministicRate().encode(samples, STEPS))
    logits = run(digits_like, samples)["fc"]
    assert np.abs(result.final_potentials["fc"] / STEPS - logits).max() <= 20 / STEPS
    decision = MembranePotential().decide(result, network["fc"])
    assert_array_equal(decision.labels, logits.argmax(axis=1))


def test_weights_are_scaled_by_source_over_target(chain_of, rng):
    first, second = rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
    graph = chain_of(
        (2,),
        fc1=Linear(Dense(first), np.array([1.0, 2.0, 3.0])),
        relu=Rectify(),
        fc2=Linear(Dense(second), np.array([1.0, -1.0])),
    )
    network = to_spiking(graph, rng.random((5, 2)), normalization="fixed", factor=5.0, input_range=(0, 2))
    weights = [p.synapses[0].weight for p in network.projections]
    assert_array_equal(weights[0], (first * 2 / 5).astype(np.float32))
    assert_array_equal(weights[1], second.astype(np.float32))
    assert_array_equal(network["fc1"].neuron.bias, np.float32([0.2, 0.4, 0.6]))
    assert [p.rate_scale for p in network.populations] == [2.0, 5.0, 5.0]
    graded = to_spiking(
        graph, rng.random((5, 2)), normalization="fixed", factor=5.0, input_range=(0, 2), input="current"
    )
    assert (graded["input"].maximum, graded["input"].rate_scale) == (255, 2 / 255)
    assert_array_equal(graded.projections[0].synapses[0].weight, (first * (2 / 255 / 5)).astype(np.float32))


def test_the_input_range_enters_the_scales_found_from_weights(chain_of):
    graph = chain_of((2,), fc=Linear(Dense(np.array([[1.0, 2.0]])), np.array([0.5])), relu=Rectify())
    network = to_spiking(graph, np.full((1, 2), 2.0), normalization="model", input_range=(1, 3))
    assert network["fc"].rate_scale == 9.5  # both inputs at 3
    assert network["fc"].neuron.bias == np.float32(3.5 / 9.5)  # both inputs at 1


def test_neurons_are_ideal_with_the_asked_reset_and_start(digits_like, rng):
    network = to_spiking(digits_like, rng.random((5, 1, 8, 8)), reset="zero", v_init_fraction=0.5, name="mine")
    neuron = network["conv"].neuron
    assert isinstance(neuron, IF)
    assert (neuron.threshold, neuron.v_init, neuron.reset, neuron.fire) == (1.0, 0.5, "zero", ">=")
    assert network.name == "mine"
    assert network.outputs == ("fc",)
    assert not network.is_integer


def test_biases_are_kept_per_channel_where_all_places_agree(digits_like, chain_of, rng):
    samples = rng.random((5, 1, 8, 8))
    plain, shifted = (to_spiking(digits_like, samples, input_range=(low, 1)) for low in (0, -1))
    assert plain["conv"].neuron.bias.shape == (4, 1, 1)
    assert shifted["conv"].neuron.bias.shape == (4, 8, 8)
    assert not any("its bias differs" in note for note in plain.notes)
    assert any("conv: its bias differs from place to place" in note for note in shifted.notes)
    graph = chain_of((1, 8, 8), conv=Linear(Conv2d(rng.normal(size=(2, 1, 3, 3)))), relu=Rectify())
    assert to_spiking(graph, samples)["conv"].neuron.bias == 0.0
    assert to_spiking(graph, samples, input_range=(-1, 1))["conv"].neuron.bias.shape == (2, 1, 1)


@pytest.mark.parametrize(("difference", "shape"), [(1e-6, (1, 2, 2)), (1e-8, (1, 1, 1))])
def test_biases_that_differ_by_rounding_only_are_one(chain_of, difference, shape):
    bias = np.full((1, 2, 2), 20.0)
    bias[0, 1, 1] += difference
    graph = chain_of((1, 2, 2), scale=Linear(OneToOne(np.ones(1)), bias), relu=Rectify())
    network = to_spiking(graph, np.zeros((1, 1, 2, 2)), normalization="fixed", factor=1.0)
    assert network["output"].neuron.bias.shape == shape


def test_an_output_that_is_a_relu_counts_or_is_dropped(branched, rng):
    samples = rng.random((5, 2, 6, 6))
    counted = to_spiking(branched, samples)
    assert counted.outputs == ("conv2",)
    assert counted.notes[0] == "from the importer"
    assert not any("ReLU" in note for note in counted.notes)
    summed = to_spiking(branched, samples, readout="potential")
    assert isinstance(summed["conv2"].neuron, Integrator)
    assert any("ReLU at the end is dropped" in note for note in summed.notes)


def test_a_relu_straight_on_the_input(chain_of, rng):
    samples = rng.random((5, 3))
    graph = chain_of((3,), relu=Rectify())
    spikes = DeterministicRate().encode(samples, 40)
    counting = to_spiking(graph, samples, normalization="fixed", factor=1.0)
    assert_array_equal(simulate(counting, spikes).counts["output"], spikes.sum(axis=0))
    summing = to_spiking(graph, samples, readout="potential", input_range=(-1, 1))
    _, result = rates(summing, DeterministicRate(low=-1).encode(samples, 1000))
    assert np.abs(result.final_potentials["output"] / 1000 - samples).max() <= 2e-3


def test_a_model_without_layers_is_refused():
    with pytest.raises(ModelError, match="its output is its input"):
        to_spiking(AnnGraph("nothing", (Node("x", Source((3,))),), "x"), np.zeros((1, 3)))


def test_a_small_network_is_read_out_like_the_original(digits_like, rng):
    samples = rng.random((60, 1, 8, 8))
    network = to_spiking(digits_like, samples)
    decision = SpikeCount().decide(simulate(network, DeterministicRate().encode(samples, 400)), network["fc"])
    assert decision.accuracy(run(digits_like, samples)["fc"].argmax(axis=1)) > 0.95


def test_layers_without_a_relu_between_them_are_told(chain_of, rng):
    graph = chain_of(
        (1, 4, 4),
        conv=Linear(Conv2d(rng.normal(size=(2, 1, 3, 3)))),
        flat=Linear(Reshape((8,))),
        fc=Linear(Dense(rng.normal(size=(3, 8)))),
    )
    notes = to_spiking(graph, rng.random((4, 1, 4, 4))).notes
    assert "fc: layers conv, fc became one Dense of 48 weights" in notes


def test_silent_layers_and_logits_are_told(chain_of, rng):
    graph = chain_of((3,), fc=Linear(Dense(-np.ones((2, 3)))), relu=Rectify(), last=Linear(Dense(-np.ones((2, 2)))))
    notes = to_spiking(graph, rng.random((60, 3))).notes
    assert notes[0] == "fc: never active on the calibration data; its scale is 1"
    assert notes[1].startswith("last: never active on the calibration data")
    assert "readout='potential'" in notes[1]


def test_constant_calibration_data_is_told(digits_like):
    notes = to_spiking(digits_like, np.full((60, 1, 8, 8), 0.5)).notes
    assert "all values are 0.5" in notes[0]


@pytest.mark.parametrize(
    ("samples", "error", "words"),
    [
        (np.zeros((0, 1, 8, 8)), DataError, "calibration data: there are no samples"),
        (np.zeros((3, 1, 8, 7)), ShapeError, r"found \[N, 1, 8, 7\], limit \[N, 1, 8, 8\]"),
        (np.zeros((1, 8, 8)), ShapeError, r"calibration data is a set of samples"),
        (np.full((3, 1, 8, 8), np.nan), DataError, "NaN or infinite"),
        (np.full((3, 1, 8, 8), 255, dtype=np.uint8), DataError, r"found 255..255, limit 0..1.*input_range="),
    ],
)
def test_unusable_calibration_data_is_refused(digits_like, samples, error, words):
    with pytest.raises(error, match=words):
        to_spiking(digits_like, samples)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input": "events"}, "unknown input"),
        ({"readout": "vote"}, "unknown readout"),
        ({"reset": "soft"}, "unknown reset"),
        ({"v_init_fraction": 1.0}, "share of the threshold"),
        ({"v_init_fraction": -0.1}, "share of the threshold"),
        ({"input_range": (1.0, 1.0)}, "input_range"),
        ({"percentile": 0.0}, "percentile"),
    ],
)
def test_senseless_options_are_refused(digits_like, options, words):
    with pytest.raises(UsageError, match=words):
        to_spiking(digits_like, np.zeros((1, 1, 8, 8)), **options)


def test_weights_that_are_not_numbers_are_refused_by_layer(chain_of):
    weight = np.ones((2, 3))
    weight[0, 1] = np.nan
    graph = chain_of((3,), fc=Linear(Dense(weight)), relu=Rectify())
    with pytest.raises(ModelError, match=r"fc: weights that are NaN or infinite \(found 1 of 6\)"):
        to_spiking(graph, np.zeros((1, 3)))
    graph = chain_of((3,), fc=Linear(Dense(np.ones((2, 3))), np.array([np.inf, 0])), relu=Rectify())
    with pytest.raises(ModelError, match="fc: a bias that is NaN or infinite"):
        to_spiking(graph, np.zeros((1, 3)))


def test_models_with_two_inputs_are_refused():
    nodes = (Node("a", Source((2,))), Node("b", Source((2,))), Node("add", Add(), ("a", "b")))
    with pytest.raises(ModelError, match=r"one input \(found a, b"):
        to_spiking(AnnGraph("two", nodes, "add"), np.zeros((1, 2)))


def test_conversion_leaves_the_graph_alone_and_is_reproducible(branched, rng):
    samples = rng.random((5, 2, 6, 6))
    before = [node.operation for node in branched.nodes]
    assert to_spiking(branched, samples) == to_spiking(branched, samples)
    assert [node.operation for node in branched.nodes] == before
    assert isinstance(branched["bn"].operation.synapse, OneToOne)

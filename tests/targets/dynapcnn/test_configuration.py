import numpy as np
import pytest

from nmdeploy.deployment import CoreLoad, Deployment, Placement
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Profile
from targets.dynapcnn import TARGET
from targets.dynapcnn.configuration import DvsInput, configuration, from_json, to_json
from targets.dynapcnn.configuration.json_form import plain
from targets.dynapcnn.configuration.tree import (
    CnnLayer,
    DvsDestination,
    DvsLayer,
    Mirror,
    Pair,
    Readout,
)
from targets.dynapcnn.neuron import SpeckIAF

CONV = np.arange(-12, 12).reshape(3, 2, 2, 2).astype(np.int8)


def made(populations, projections, chip="speck2f", outputs=(), cores=None):
    """A deployment of a lowered network, by default layer after layer on cores 4, 3, 2, ..."""
    network = Network("net", populations, projections, outputs)
    layers = [p for p in populations if not p.is_input]
    loads = cores or [CoreLoad(0, 4 - index, p.name, np.arange(p.size), {}) for index, p in enumerate(layers)]
    return Deployment(network, "dynapcnn", chip, Profile("dynapcnn/chip", ()), Placement(chip, tuple(loads), {}))


def input_population(*shape):
    return Population("in", shape)


def two_layers(chip="speck2f", leak=0, **neuron):
    """in (2, 4, 6) -> conv 2x2, stride (1, 2), padding (0, 1) -> one (3, 3, 4) -> pool 2 -> dense two (5)."""
    one = SpeckIAF(200, threshold_low=-150, leak=leak, v_init=np.arange(36).reshape(3, 3, 4), **neuron)
    dense = np.arange(30).reshape(5, 6).astype(np.int8)
    return made(
        (input_population(2, 4, 6), Population("one", (3, 3, 4), one), Population("two", (5,), SpeckIAF(77))),
        (
            Projection("in", "one", (Conv2d(CONV, (1, 2), (0, 0, 1, 1)),)),
            Projection("one", "two", (SumPool2d((2, 2)), Reshape((6,)), Dense(dense))),
        ),
        chip,
    )


def square_dense():
    """A dense layer over a 2x2 map."""
    weight = np.arange(40).reshape(5, 8).astype(np.int8)
    return made(
        (input_population(2, 2, 2), Population("one", (5, 1, 1), SpeckIAF(9))),
        (Projection("in", "one", (Conv2d(weight.reshape(5, 2, 2, 2)),)),),
    )


def chain_of(second):
    """in (1, 4, 4) -> conv 1x1 -> one (2, 4, 4) -> `second` -> two."""
    first = Conv2d(np.ones((2, 1, 1, 1), np.int8))
    shape = second[0].out_shape((2, 4, 4))
    for synapse in second[1:]:
        shape = synapse.out_shape(shape)
    return made(
        (input_population(1, 4, 4), Population("one", (2, 4, 4), SpeckIAF(9)), Population("two", shape, SpeckIAF(9))),
        (Projection("in", "one", (first,)), Projection("one", "two", tuple(second))),
    )


def conv(*shape):
    return Conv2d(np.arange(np.prod(shape)).reshape(shape).astype(np.int8))


def test_a_core_holds_geometry_and_integers_with_x_before_y():
    deployment = chain_of([SumPool2d((2, 2)), conv(3, 2, 2, 2)])
    found = configuration(deployment)
    assert (found.chip, list(found.cnn_layers), found.dvs_layer) == ("speck2f", [4, 3], DvsLayer())
    assert plain(found.cnn_layers[4].dimensions) == {
        "input_shape": {"size": {"x": 4, "y": 4}, "feature_count": 1},
        "output_shape": {"size": {"x": 4, "y": 4}, "feature_count": 2},
        "padding": {"x": 0, "y": 0},
        "stride": {"x": 1, "y": 1},
        "kernel_size": 1,
    }
    assert plain(found.cnn_layers[4].destinations) == [{"layer": 3, "enable": True, "pooling": 2}]
    assert found.cnn_layers[3].destinations == ()
    weights = found.cnn_layers[3].weights
    assert (weights.dtype, weights.shape) == (np.int8, (3, 2, 2, 2))
    assert all(
        weights[f, c, x, y] == 8 * f + 4 * c + 2 * y + x
        for f in range(3)
        for c in range(2)
        for x in (0, 1)
        for y in (0, 1)
    )


def test_axes_that_differ_are_not_exchanged():
    deployment = two_layers()
    one = configuration(with_square_end(deployment)).cnn_layers[4]
    assert plain(one.dimensions) == {
        "input_shape": {"size": {"x": 6, "y": 4}, "feature_count": 2},
        "output_shape": {"size": {"x": 4, "y": 3}, "feature_count": 3},
        "padding": {"x": 1, "y": 0},
        "stride": {"x": 2, "y": 1},
        "kernel_size": 2,
    }
    assert one.neurons_initial_value.shape == (3, 4, 3)
    assert one.neurons_initial_value[2, 3, 1] == 2 * 12 + 1 * 4 + 3
    assert (one.threshold_high, one.threshold_low, one.return_to_zero) == (200, -150, False)
    assert (one.leak_enable, one.biases.tolist(), one.biases.dtype) == (False, [0, 0, 0], np.int16)


def with_square_end(deployment):
    """The same with a last layer that takes the first one's map by a 1x1 kernel."""
    network = deployment.network
    last = Population("two", (2, 3, 4), SpeckIAF(9))
    projections = (network.projections[0], Projection("one", "two", (conv(2, 3, 1, 1),)))
    return made((*network.populations[:2], last), projections, deployment.chip)


def test_a_dense_layer_is_a_kernel_over_the_whole_map():
    core = configuration(square_dense()).cnn_layers[4]
    assert core.dimensions.kernel_size == 2
    # Neuron 3 reads channel 1, row 0, column 1: weight 3 * 8 + 4 + 1.
    assert core.weights[3, 1, 1, 0] == 29


def test_a_map_that_is_not_square_has_no_dense_layer():
    with pytest.raises(UsageError, match=r"two: the kernel must be as high as wide \(found \(1, 2\)\)"):
        configuration(two_layers())


def test_oblong_pooling_cannot_be_written():
    with pytest.raises(UsageError, match="one: the pooling must be as high as wide"):
        configuration(chain_of([SumPool2d((2, 1)), conv(1, 2, 1, 1)]))


def test_biases_are_a_leak_and_reset_is_a_flag():
    leak = np.array([5, 0, -7]).reshape(3, 1, 1)
    core = configuration(with_square_end(two_layers(leak=leak, return_to_zero=True))).cnn_layers[4]
    assert (core.leak_enable, core.biases.tolist(), core.return_to_zero) == (True, [5, 0, -7], True)
    silent = configuration(with_square_end(two_layers(leak=np.zeros((3, 1, 1), int)))).cnn_layers[4]
    assert (silent.leak_enable, silent.biases.tolist()) == (False, [0, 0, 0])


def test_outputs_are_monitored_unless_others_are_asked_for():
    deployment = chain_of([conv(1, 2, 1, 1)])

    def watched(**options):
        return [layer.monitor_enable for layer in configuration(deployment, **options).cnn_layers.values()]

    assert watched() == [False, True]
    assert watched(monitor=["one"]) == [True, False]
    assert watched(monitor=["*"]) == [True, True]
    assert watched(monitor=[]) == [False, False]
    with pytest.raises(UsageError, match=r"no such population to monitor \(found three, limit in, one, two\)"):
        configuration(deployment, monitor=["three"])


def test_two_sources_behind_each_other_in_the_channels_are_a_feature_shift():
    single = SpeckIAF(9)
    populations = (input_population(1, 4, 4), *(Population(name, (2, 4, 4), single) for name in ("a", "b", "c")))
    projections = (
        Projection("in", "a", (conv(2, 1, 1, 1),)),
        Projection("in", "b", (conv(2, 1, 1, 1),)),
        Projection("a", "c", (Conv2d(np.full((2, 2, 1, 1), 3, np.int8)),)),
        Projection("b", "c", (Conv2d(np.full((2, 2, 1, 1), 4, np.int8)),)),
    )
    cores = configuration(made(populations, projections)).cnn_layers
    assert plain(cores[4].destinations) == [{"layer": 2, "enable": True, "pooling": 1}]
    assert plain(cores[3].destinations) == [{"layer": 2, "enable": True, "pooling": 1, "feature_shift": 2}]
    assert cores[2].weights[0, :, 0, 0].tolist() == [3, 3, 4, 4]


def test_destinations_stand_in_the_order_of_the_projections():
    single = SpeckIAF(9)
    populations = (input_population(1, 4, 4), *(Population(name, (2, 4, 4), single) for name in ("a", "b", "c")))
    ways = [Projection("a", name, (conv(2, 2, 1, 1),)) for name in ("c", "b")]
    deployment = made(populations, (Projection("in", "a", (conv(2, 1, 1, 1),)), *ways))
    assert [each.layer for each in configuration(deployment).cnn_layers[4].destinations] == [2, 3]


def split_in_two(first_part=slice(0, 32), second_part=slice(32, 64)):
    """Population `b` with its four features on cores 1 and 7."""
    populations = (
        input_population(1, 4, 4),
        Population("a", (2, 4, 4), SpeckIAF(9)),
        Population("b", (4, 4, 4), SpeckIAF(9, leak=np.array([1, 2, 3, 4]).reshape(4, 1, 1))),
        Population("c", (2, 2, 2), SpeckIAF(9)),
    )
    projections = (
        Projection("in", "a", (conv(2, 1, 1, 1),)),
        Projection("a", "b", (conv(4, 2, 1, 1),)),
        Projection("b", "c", (SumPool2d((2, 2)), conv(2, 4, 1, 1))),
    )
    neurons = np.arange(64)
    cores = [
        CoreLoad(0, 0, "a", np.arange(32), {}),
        CoreLoad(0, 1, "b", neurons[first_part], {}),
        CoreLoad(0, 7, "b", neurons[second_part], {}),
        CoreLoad(0, 2, "c", np.arange(8), {}),
    ]
    return made(populations, projections, cores=cores)


def test_a_layer_on_two_cores_is_fed_by_two_destinations_and_shifts_its_features():
    cores = configuration(split_in_two(slice(0, 48), slice(48, 64))).cnn_layers
    assert list(cores) == [0, 1, 7, 2]
    assert [each.layer for each in cores[0].destinations] == [1, 7]
    assert plain(cores[1].destinations) == [{"layer": 2, "enable": True, "pooling": 2}]
    assert plain(cores[7].destinations) == [{"layer": 2, "enable": True, "pooling": 2, "feature_shift": 3}]
    assert [cores[core].weights.ravel().tolist() for core in (1, 7)] == [[0, 1, 2, 3, 4, 5], [6, 7]]
    assert [cores[core].biases.tolist() for core in (1, 7)] == [[1, 2, 3], [4]]
    assert [cores[core].dimensions.output_shape.feature_count for core in (1, 7)] == [3, 1]


def test_a_core_holds_whole_features():
    with pytest.raises(UsageError, match="b, core 1: a core holds whole features"):
        configuration(split_in_two(slice(0, 40), slice(40, 64)))
    with pytest.raises(UsageError, match="b, core 1: a core holds whole features"):
        configuration(split_in_two([*range(16), *range(32, 48)], [*range(16, 32), *range(48, 64)]))


@pytest.mark.parametrize(
    "parts",
    [(slice(0, 32), slice(32, 48)), (slice(0, 32), slice(0, 32)), (slice(0, 48), slice(32, 64)), (slice(0), slice(0))],
)
def test_every_neuron_has_one_core(parts):
    with pytest.raises(UsageError, match="b: the placement does not hold every neuron of the layer once"):
        configuration(split_in_two(*parts))


def test_every_layer_has_a_core():
    deployment = square_dense()
    nowhere = deployment.with_(placement=Placement("speck2f", (), {}))
    with pytest.raises(UsageError, match="one: the placement does not hold every neuron"):
        configuration(nowhere)


def test_integers_beyond_a_memory_and_too_many_destinations_are_refused():
    deployment = chain_of([Conv2d(np.full((1, 2, 1, 1), 128, np.int16))])
    with pytest.raises(UsageError, match=r"two: integers beyond 8 bits \(found 128\)"):
        configuration(deployment)
    populations = (input_population(1, 2, 2), *(Population(name, (1, 2, 2), SpeckIAF(9)) for name in "abcd"))
    ways = [Projection("a", name, (conv(1, 1, 1, 1),)) for name in "bcd"]
    with pytest.raises(UsageError, match="net: core 4: 3 destinations, a core has 2; see what the design rules say"):
        configuration(made(populations, (Projection("in", "a", (conv(1, 1, 1, 1),)), *ways)))


def test_the_development_kit_has_kill_bits_where_integers_are_0():
    core = configuration(with_square_end(two_layers("dynapcnndevkit", leak=np.array([5, 0, 1]).reshape(3, 1, 1))))
    layer = core.cnn_layers[4]
    assert np.array_equal(layer.weights_kill_bit, layer.weights == 0)
    assert layer.weights_kill_bit.sum() == 1
    assert layer.biases_kill_bit.tolist() == [False, True, False]
    assert layer.neurons_value_kill_bit.shape == (3, 4, 3)
    assert not layer.neurons_value_kill_bit.any()
    assert configuration(with_square_end(two_layers())).cnn_layers[4].weights_kill_bit is None
    assert from_json(to_json(core)) == core


def test_the_profile_readout_feeds_the_read_out_block():
    ideal = Network(
        "ideal",
        (input_population(1, 2, 2), Population("out", (3,), IF(60))),
        (Projection("in", "out", (Reshape((4,)), Dense(np.ones((3, 4), np.int8)))),),
    )
    chip = TARGET.chips()["speck2f"]
    lowered = TARGET.lower(ideal, chip, "readout")
    deployment = Deployment(lowered.network, "dynapcnn", "speck2f", lowered.profile, TARGET.map(lowered.network, chip))
    found = configuration(deployment)
    (core,) = found.cnn_layers.values()
    assert core.dimensions.output_shape.feature_count == 9
    assert plain(core.destinations) == [{"layer": 12, "enable": True, "pooling": 1}]
    assert plain(found.readout) == {
        "enable": True,
        "threshold": 0,
        "readout_configuration_sel": 3,
        "output_mode_sel": 1,
        "low_pass_filter_disable": True,
    }
    mine = Readout(enable=True, threshold=7)
    assert configuration(deployment, readout=mine).readout == mine
    with pytest.raises(UsageError, match="nothing feeds the read-out block; deploy with the profile 'readout'"):
        configuration(square_dense(), readout=mine)


def sensor_net(shape, synapses, **projection):
    out = Conv2d(np.ones((1, shape[0], 1, 1), np.int8))
    made_shape = shape
    for synapse in (*synapses, out):
        made_shape = synapse.out_shape(made_shape)
    populations = (input_population(*shape), Population("one", made_shape, SpeckIAF(9)))
    return made(populations, (Projection("in", "one", (*synapses, out), **projection),))


def test_the_sensor_feeds_the_input():
    dvs = DvsInput((20, 24), (2, 2), ((1, 9), (2, 12)), mirror_x=True)
    found = configuration(sensor_net((2, 8, 10), ()), sensor=dvs, monitor=["in"])
    assert found.dvs_layer == DvsLayer(
        merge=False,
        mirror=Mirror(x=True, y=False),
        mirror_diagonal=False,
        cut=Pair(x=11, y=8),
        origin=Pair(x=2, y=1),
        pooling=Pair(x=2, y=2),
        pass_sensor_events=True,
        destinations=(DvsDestination(4, True),),
        monitor_enable=True,
    )
    host = configuration(sensor_net((1, 128, 128), ()), sensor=DvsInput(merge=True, sensor=False)).dvs_layer
    assert (host.merge, host.pass_sensor_events, host.cut, host.monitor_enable) == (True, False, Pair(127, 127), None)


def test_a_sensor_that_does_not_fit_is_refused():
    with pytest.raises(
        UsageError, match=r"in: the sensor makes another shape \(found \(2, 128, 128\), limit \(2, 8, 8\)"
    ):
        configuration(sensor_net((2, 8, 8), ()), sensor=DvsInput())
    with pytest.raises(UsageError, match="in: the sensor's destinations neither pool nor shift"):
        configuration(sensor_net((2, 8, 8), (SumPool2d((2, 2)),)), sensor=DvsInput((8, 8)))
    twice = [Projection("in", "a", (Conv2d(np.full((1, 1, 1, 1), weight, np.int8)),)) for weight in (1, 2)]
    shifted = made((input_population(1, 4, 4), Population("a", (1, 4, 4), SpeckIAF(9))), twice)
    with pytest.raises(UsageError, match="in: the sensor's destinations neither pool nor shift"):
        configuration(shifted, sensor=DvsInput((4, 4), merge=True))
    populations = (input_population(1, 2, 2), Population("b", (1, 2, 2)), Population("c", (1, 2, 2), SpeckIAF(9)))
    ways = [Projection(name, "c", (conv(1, 1, 1, 1),)) for name in ("in", "b")]
    with pytest.raises(UsageError, match="the sensor feeds one input"):
        configuration(made(populations, ways), sensor=DvsInput((2, 2), merge=True))


def test_the_whole_way_from_an_ideal_network():
    """Integers that the target lowers and places itself."""
    ideal = Network(
        "ideal",
        (input_population(2, 6, 6), Population("a", (3, 6, 6), IF(90, v_min=-50)), Population("b", (4,), IF(60))),
        (
            Projection("in", "a", (Conv2d(np.ones((3, 2, 3, 3), np.int8), padding=1),)),
            Projection("a", "b", (SumPool2d((2, 2)), Reshape((27,)), Dense(np.ones((4, 27), np.int8)))),
        ),
    )
    chip = TARGET.chips()["speck2e"]
    lowered = TARGET.lower(ideal, chip, "chip")
    deployment = Deployment(lowered.network, "dynapcnn", "speck2e", lowered.profile, TARGET.map(lowered.network, chip))
    found = configuration(deployment)
    assert len(found.cnn_layers) == 2
    first, last = (found.cnn_layers[deployment.placement.of(name)[0].core] for name in ("a", "b"))
    assert isinstance(first, CnnLayer)
    assert (first.threshold_low, last.threshold_low) == (-50, -32640)
    assert (first.destinations[0].pooling, last.dimensions.kernel_size) == (2, 3)


@pytest.mark.parametrize(("profile", "bias"), [("chip", 0), ("leak", np.array([3, 0, -4]).reshape(3, 1, 1))])
def test_profiles_differ_in_semantics_not_in_what_is_written(profile, bias):
    """So what recordings of a simulation say about a configuration holds for the chip's own profiles."""
    ideal = Network(
        "ideal",
        (input_population(2, 6, 6), Population("a", (3, 6, 6), IF(90, bias=bias, v_min=-50, reset="zero"))),
        (Projection("in", "a", (Conv2d(np.ones((3, 2, 3, 3), np.int8), padding=1),)),),
    )
    chip = TARGET.chips()["speck2f"]
    written = []
    for name in (profile, "step"):
        lowered = TARGET.lower(ideal, chip, name)
        placement = TARGET.map(lowered.network, chip)
        written.append(configuration(Deployment(lowered.network, "dynapcnn", "speck2f", lowered.profile, placement)))
    assert written[0] == written[1]
    assert [layer.leak_enable for layer in written[0].cnn_layers.values()] == [profile == "leak"]

"""Networks: validation, order, latency, and how they show themselves."""

import numpy as np
import pytest

from nmdeploy.errors import NetworkError, ShapeError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from quantize import IntegerFormat

ONE = (OneToOne(np.array([1])),)


def single(name, neuron=None, **options):
    return Population(name, (1,), neuron, **options)


def graph(*edges, neurons="abcd", outputs=()):
    """Single neurons joined by `source->target` edges with delays; `in` is the input."""
    projections = [Projection(source, target, ONE, delay=delay) for source, target, delay in edges]
    used = {end for source, target, _ in edges for end in (source, target)}
    populations = [single("in")] + [single(name, IF(1)) for name in neurons if name in used]
    return Network("graph", tuple(populations), tuple(projections), outputs)


def faults(populations, projections, outputs=()):
    with pytest.raises(NetworkError) as raised:
        Network("bad", tuple(populations), tuple(projections), outputs)
    return raised.value.faults


def small():
    kernels = np.arange(18, dtype=np.int8).reshape(2, 1, 3, 3)
    weights = np.ones((3, 8), np.int8)
    return Network(
        "small",
        (Population("image", (1, 6, 6)), Population("maps", (2, 4, 4), IF(9)), Population("out", (3,), Integrator())),
        (
            Projection("image", "maps", (Conv2d(kernels),), delay=1),
            Projection("maps", "out", (SumPool2d(2), Reshape((8,)), Dense(weights)), exponent=-2),
        ),
    )


def test_a_population_knows_its_size_and_spikes():
    assert Population("p", [2, 3, 4]).shape == (2, 3, 4)
    assert Population("p", (2, 3, 4)).size == 24
    assert single("in", minimum=-2, maximum=9).spike_range == (-2, 9)
    assert single("p", IF(1)).spike_range == (0, 1)
    assert single("p", Integrator()).spike_range == (0, 0)
    assert single("in").is_input
    assert not single("p", IF(1)).is_input


@pytest.mark.parametrize(
    ("population", "fault"),
    [
        (Population("p", (2, 3)), "p: shape (2, 3) is neither (C, H, W) nor (N,) with sizes above 0"),
        (Population("p", (0,)), "p: shape (0,) is neither (C, H, W) nor (N,) with sizes above 0"),
        (single("p", minimum=2), "p: minimum 2 is above maximum 1"),
        (single("p", readout_step=0), "p: readout_step is 0, it must be at least 1"),
        (single("p", IF(0)), "p: threshold is 0, it must be above 0"),
    ],
)
def test_faults_of_a_population(population, fault):
    assert population.faults() == [fault]


@pytest.mark.parametrize(
    ("projection", "fault"),
    [
        (Projection("in", "p", (Dense(np.ones((1, 2), int)),)), "in->p: Dense weights and input differ"),
        (Projection("in", "p", (Dense(np.ones((4, 3), int)),)), "in->p: delivers shape (4,), p has (1,)"),
        (Projection("in", "p", ()), "in->p: delivers shape (3,), p has (1,)"),
        (Projection("in", "p", (Dense(np.ones((1, 3), int)),), delay=-1), "in->p: delay is -1"),
        (Projection("in", "p", (Dense(np.ones((1, 3))),), exponent=1), "in->p: exponent 1 with weights that are not"),
        (Projection("in", "p", (Dense(np.array([[1, np.nan, 0]])),)), "in->p: Dense has weights that are NaN"),
        (Projection("in", "p", (Dense(np.array([[1, np.inf, 0]])),)), "in->p: Dense has weights that are NaN"),
    ],
)
def test_faults_of_a_projection(projection, fault):
    found = projection.faults(Population("in", (3,)), single("p", IF(1)))
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_neuron_of_a_kind_is_given_or_refused():
    neuron = IF(3)
    assert single("a", neuron).neuron_as(Integrator, IF) is neuron
    with pytest.raises(NetworkError, match=r"a: .*IF where Integrator is needed; lower the network first"):
        single("a", neuron).neuron_as(Integrator)
    with pytest.raises(NetworkError, match="an input where IF or Integrator"):
        single("a").neuron_as(IF, Integrator)


def test_all_faults_come_at_once():
    found = faults(
        [single("in"), single("a", IF(0)), single("a", IF(1)), single("lost", IF(1)), single("in2", maximum=-1)],
        [
            Projection("in", "a", ONE, delay=-1),
            Projection("in", "nowhere", ONE),
            Projection("in", "in2", ONE),
            Projection("a", "a", ONE),
        ],
        outputs=("b",),
    )
    expected = [
        "a: the name is used 2 times",
        "a: threshold is 0, it must be above 0",
        "lost: no projection enters it",
        "in2: minimum 0 is above maximum -1",
        "in->a: delay is -1, it must be at least 0",
        "in->nowhere: there is no population 'nowhere'",
        "in->in2: enters in2, which is an input",
        "output 'b' is no population",
        "cycle without delay: a -> a; give one of its projections a delay of at least 1",
    ]
    assert list(found) == expected


def test_the_message_counts_and_joins_the_faults():
    with pytest.raises(NetworkError, match=r"^bad: 2 faults in the network: a: no projection .* \| output 'x'"):
        Network("bad", (single("in"), single("a", IF(1))), (), outputs=("x",))


def test_an_empty_network_says_so():
    assert faults([], []) == (
        "it has no populations",
        "it has no input population (neuron=None)",
        "it has no output: every population projects on; name them in outputs=",
    )


def test_a_loop_without_delay_is_named_population_by_population():
    edges = [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 0), ("c", "d", 0)]
    with pytest.raises(NetworkError, match="cycle without delay: a -> b -> c -> a"):
        graph(*edges)
    delayed = graph(*edges[:3], ("c", "a", 1), edges[4])
    assert delayed.has_cycle
    assert [p.name for p in delayed.order()] == ["in", "a", "b", "c", "d"]
    assert delayed.order(instant_only=False) is None


def test_order_puts_sources_first_whatever_the_listing():
    populations = (single("c", IF(1)), single("b", IF(1)), single("a", IF(1)), single("in"))
    projections = (Projection("in", "a", ONE), Projection("a", "b", ONE, delay=2), Projection("b", "c", ONE))
    network = Network("listed backwards", populations, projections)
    assert [p.name for p in network.order(instant_only=False)] == ["in", "a", "b", "c"]
    # Over delay 0 alone, b waits for nothing.
    assert [p.name for p in network.order()] == ["b", "c", "in", "a"]


def test_outputs_are_the_sinks_unless_named():
    assert graph(("in", "a", 0), ("a", "b", 0), ("a", "c", 0)).outputs == ("b", "c")
    assert graph(("in", "a", 0), ("a", "a", 1)).outputs == ("a",)
    assert graph(("in", "a", 0), ("a", "b", 0), outputs=("a",)).outputs == ("a",)


@pytest.mark.parametrize(
    ("edges", "outputs", "latency"),
    [
        ([("in", "a", 0)], (), 0),
        ([("in", "a", 1), ("a", "b", 2)], (), 3),
        ([("in", "a", 1), ("a", "b", 2), ("in", "b", 7)], (), 7),
        ([("in", "a", 1), ("a", "b", 2)], ("a",), 1),
        ([("in", "a", 1), ("a", "b", 2), ("b", "a", 4)], ("b",), 3),
        ([("in", "a", 0), ("a", "b", 2), ("in", "b", 7), ("b", "a", 4)], ("b",), 2),
        ([("in", "a", 5), ("in", "b", 1)], (), 5),
    ],
)
def test_latency_is_the_longest_way_or_with_cycles_the_shortest(edges, outputs, latency):
    assert graph(*edges, outputs=outputs).latency() == latency


def test_populations_and_projections_are_found_by_name():
    network = graph(("in", "a", 0), ("in", "b", 0), ("a", "b", 1))
    assert network["a"].name == "a"
    assert [p.name for p in network.into("b")] == ["in->b", "a->b"]
    assert [p.name for p in network.out_of("in")] == ["in->a", "in->b"]
    assert [p.name for p in network.inputs] == ["in"]
    with pytest.raises(NetworkError, match="no population 'x' among in, a, b"):
        network["x"]


def test_a_network_is_integer_when_weights_and_neurons_are():
    def chain(weight, neuron):
        projection = Projection("in", "p", (OneToOne(weight),))
        return Network("net", (single("in"), single("p", neuron)), (projection,))

    assert chain(np.array([1], np.uint8), IF(1)).is_integer
    assert not chain(np.array([1.0]), IF(1)).is_integer
    assert not chain(np.array([1]), IF(1.0)).is_integer


def test_a_chain_infers_shapes_and_unrolls():
    projection = small().projections[1]
    assert projection.shapes((2, 4, 4)) == [(2, 4, 4), (2, 2, 2), (8,), (3,)]
    with pytest.raises(ShapeError, match="Reshape keeps"):
        projection.shapes((2, 6, 6))
    spikes = np.random.Generator(np.random.PCG64(0)).integers(0, 2, (5, 2, 4, 4))
    matrix = projection.matrix((2, 4, 4))
    assert matrix.shape == (3, 32)
    np.testing.assert_array_equal(projection.apply(spikes), (matrix @ spikes.reshape(5, 32).T).T)


def test_fan_out_counts_the_paths_through_a_chain():
    first, second = small().projections
    # Every pixel of maps lies in one pool window, which drives 3 outputs.
    np.testing.assert_array_equal(second.fan_out((2, 4, 4)), np.full((2, 4, 4), 3))
    # A corner is under one kernel position, an inner pixel under nine; two filters each.
    counts = first.fan_out((1, 6, 6))[0]
    assert (counts[0, 0], counts[0, 2], counts[3, 3]) == (2, 6, 18)
    np.testing.assert_array_equal(Projection("a", "b").fan_out((4,)), np.ones(4))
    # Overlapping windows: the middle of three pixels is pooled twice, then read by two neurons.
    overlapping = Projection("a", "b", (SumPool2d((1, 2), stride=1), Reshape((2,)), Dense(np.zeros((2, 2), int))))
    assert overlapping.fan_out((1, 1, 3)).tolist() == [[[2, 4, 2]]]


def test_networks_compare_by_value():
    assert small() == small()
    assert small() != graph(("in", "a", 0))


def test_parts_show_what_is_set():
    assert repr(small()["maps"]) == "Population(name='maps', shape=(2, 4, 4), neuron=IF(threshold=9))"
    assert repr(small().projections[0]) == (
        "Projection(source='image', target='maps', synapses=(Conv2d(weight=int8[2,1,3,3]),), delay=1)"
    )
    form = IntegerFormat(8)
    assert repr(Projection("a", "b", accumulator=form)) == f"Projection(source='a', target='b', accumulator={form!r})"


def test_the_summary_is_a_table_in_order_of_computation():
    lines = small().summary().splitlines()
    assert lines[0] == "small (integer; outputs: out)"
    assert lines[1].split() == ["population", "shape", "neurons", "model", "weights", "from"]
    assert lines[3].split() == ["image", "1x6x6", "36", "input", "0", "-"]
    assert lines[4].split() == ["maps", "2x4x4", "32", "IF", "18", "image:", "Conv2d"]
    assert lines[5].split() == ["out", "3", "3", "Integrator", "24", "maps:", "SumPool2d-Reshape-Dense"]

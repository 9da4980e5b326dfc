"""The definition itself: worked out by hand, and against an unrolled formulation in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings

from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import EmulationOverflow, NetworkError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from quantize import IntegerFormat, Overflow


def chain(neuron, weight=3, *, maximum=1, minimum=0, **projection):
    """One input neuron, one synapse, one neuron."""
    dense = Dense(np.array([[weight]]))
    return Network(
        "chain",
        (Population("in", (1,), minimum=minimum, maximum=maximum), Population("out", (1,), neuron)),
        (Projection("in", "out", (dense,), **projection),),
    )


def train(*values):
    """One sample of one neuron, `[T, 1, 1]`."""
    return np.array(values).reshape(-1, 1, 1)


def run(network, *values, steps=None, of="out"):
    """Spikes and potentials of one neuron, step by step."""
    record = Recording(spikes=(of,), potentials=(of,))
    result = emulate_reference(network, train(*values), steps=steps, record=record)
    return result.spikes[of].ravel().tolist(), result.potentials[of].ravel().tolist()


# A page of arithmetic ---------------------------------------------------------


def test_integrate_fire_and_subtract():
    # v: 0+3+1=4 | 4+3+1=8 fires, 8-5=3 | 3+0+1=4 | 4+3+1=8 fires, 3
    assert run(chain(IF(threshold=5, bias=1)), 1, 1, 0, 1) == ([0, 1, 0, 1], [4, 3, 4, 3])


def test_a_delay_shifts_the_current_and_lengthens_the_run():
    # input at steps 0 and 2, weight 2, arrives at steps 2 and 4; the run lasts 3 + 2 steps
    assert run(chain(Integrator(), 2, delay=2), 1, 0, 1) == ([0] * 5, [0, 0, 2, 2, 4])


def test_steps_beyond_the_input_are_silent_and_bias_goes_on():
    assert run(chain(Integrator(bias=1), 10), 1, steps=3) == ([0, 0, 0], [11, 12, 13])


def test_fewer_steps_than_input_cut_the_run_short():
    assert run(chain(Integrator(), 10), 1, 1, 1, steps=2) == ([0, 0], [10, 20])


@pytest.mark.parametrize(
    ("weight", "exponent", "current"),
    [(3, 0, 3), (3, 2, 12), (-3, 2, -12), (3, -1, 1), (-3, -1, -2), (-1, -3, -1), (7, -3, 0), (8, -3, 1)],
)
def test_the_exponent_multiplies_or_floors(weight, exponent, current):
    assert run(chain(Integrator(), weight, exponent=exponent), 1)[1] == [current]


def test_a_projection_without_synapses_is_exact_beyond_the_type_of_its_spikes():
    populations = (Population("in", (1,), maximum=255), Population("out", (1,), Integrator()))
    network = Network("direct", populations, (Projection("in", "out", (), exponent=2),))
    assert run(network, 163, 255) == ([0, 0], [652, 652 + 1020])


def test_the_exponent_shifts_the_sum_not_the_weights():
    # (1 + 1) >> 1 = 1, where shifting each weight first would give 0
    network = Network(
        "pair",
        (Population("in", (2,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", (Dense(np.array([[1, 1]])),), exponent=-1),),
    )
    result = emulate_reference(network, np.ones((1, 1, 2), np.uint8))
    assert result.final_potentials["out"].tolist() == [[1]]


@pytest.mark.parametrize(
    ("overflow", "weight", "exponent", "current"),
    [
        (Overflow.WRAP, 9, 0, -7),
        (Overflow.SATURATE, 9, 0, 7),
        (Overflow.WRAP, -9, 0, 7),
        (Overflow.SATURATE, -9, 0, -8),
        (Overflow.WRAP, 9, -1, 4),
        (Overflow.SATURATE, 3, 2, 7),
    ],
)
def test_the_accumulator_acts_after_the_exponent(overflow, weight, exponent, current):
    accumulator = IntegerFormat(4, overflow=overflow)
    assert run(chain(Integrator(), weight, exponent=exponent, accumulator=accumulator), 1)[1] == [current]


def test_graded_and_negative_inputs_are_multiplied():
    assert run(chain(Integrator(), 3, minimum=-2, maximum=255), 255, -2, 0, 1)[1] == [765, 759, 759, 762]


def test_projections_into_one_population_add_each_in_its_own_format():
    # direct: 5 per spike, saturated to 3 bits (3); delayed: -2, one step later
    populations = (Population("in", (1,)), Population("out", (1,), Integrator()))
    projections = (
        Projection("in", "out", (Dense(np.array([[5]])),), accumulator=IntegerFormat(3, overflow=Overflow.SATURATE)),
        Projection("in", "out", (Dense(np.array([[-2]])),), delay=1),
    )
    assert run(Network("two", populations, projections), 1, 1)[1] == [3, 4, 2]


def test_an_undelayed_spike_acts_in_the_same_step():
    populations = (
        Population("out", (1,), Integrator()),
        Population("middle", (1,), IF(threshold=2)),
        Population("in", (1,)),
    )
    projections = (
        Projection("middle", "out", (OneToOne(np.array([7])),)),
        Projection("in", "middle", (OneToOne(np.array([2])),)),
    )
    assert run(Network("instant", populations, projections), 1, 0, 1)[1] == [7, 7, 14]


def test_a_neuron_can_excite_itself_one_step_later():
    # step 0: v=2 fires, v=0; from then on its own spike brings 2 again
    populations = (Population("in", (1,)), Population("out", (1,), IF(threshold=2)))
    projections = (
        Projection("in", "out", (OneToOne(np.array([2])),)),
        Projection("out", "out", (OneToOne(np.array([2])),), delay=1),
    )
    network = Network("loop", populations, projections)
    assert run(network, 1, 0, 0, 0) == ([1, 1, 1, 1], [0, 0, 0, 0])


def test_two_populations_in_a_loop_see_each_other_with_their_delays():
    # a at 0; b = a one step later; a again two steps after b: period 3
    populations = (Population("in", (1,)), Population("a", (1,), IF(1)), Population("b", (1,), IF(1)))
    one = (OneToOne(np.array([1])),)
    projections = (
        Projection("in", "a", one),
        Projection("a", "b", one, delay=1),
        Projection("b", "a", one, delay=2),
    )
    network = Network("ring", populations, projections, outputs=("a", "b"))
    result = emulate_reference(network, train(1), steps=7)
    assert result.spikes["a"].ravel().tolist() == [1, 0, 0, 1, 0, 0, 1]
    assert result.spikes["b"].ravel().tolist() == [0, 1, 0, 0, 1, 0, 0]


def test_signs_are_summed_apart_where_the_neuron_wants_it(two_sided):
    # weights 5, -3, -128 on three inputs: v = e - 2*i; the exponent halves each part: 2, and 131 >> 1 = 65
    weight = np.array([[5, -3, -128]], dtype=np.int8)
    network = Network(
        "signs",
        (Population("in", (3,)), Population("out", (1,), two_sided(threshold=100))),
        (Projection("in", "out", (Dense(weight),), exponent=-1),),
    )
    result = emulate_reference(network, np.ones((1, 1, 3), np.uint8))
    assert result.final_potentials["out"].tolist() == [[2 - 2 * 65]]


def test_a_chain_without_weights_is_all_excitation(two_sided):
    network = Network(
        "signs",
        (Population("in", (1, 2, 2)), Population("out", (1, 1, 1), two_sided(threshold=3))),
        (Projection("in", "out", (SumPool2d(2),)),),
    )
    result = emulate_reference(network, np.ones((1, 1, 1, 2, 2), np.uint8))
    assert result.spikes["out"].ravel().tolist() == [1]


def test_what_has_no_halves_by_sign_is_refused_with_all_reasons(two_sided):
    network = Network(
        "signs",
        (Population("in", (1,), minimum=-1), Population("out", (1,), two_sided(threshold=3))),
        (Projection("in", "out", (OneToOne(np.array([2])), Dense(np.array([[1]])))),),
    )
    with pytest.raises(NetworkError, match="in->out") as raised:
        emulate_reference(network, train(1))
    assert len(raised.value.faults) == 2


def test_spikes_of_several_units_are_sent_and_counted(burst):
    # 7 // 2 = 3 spikes (at most), 1 left; then (1 + 0) // 2 = 0
    populations = (Population("in", (1,)), Population("a", (1,), burst(2)), Population("out", (1,), Integrator()))
    projections = (
        Projection("in", "a", (Dense(np.array([[7]])),)),
        Projection("a", "out", (Dense(np.array([[10]])),)),
    )
    record = Recording(spikes=("a",), counts=("a",), potentials=("out",))
    result = emulate_reference(Network("burst", populations, projections), train(1, 0), record=record)
    assert result.spikes["a"].ravel().tolist() == [3, 0]
    assert result.counts["a"].tolist() == [[3]]
    assert result.total_spikes["a"].tolist() == [3]
    assert result.potentials["out"].ravel().tolist() == [30, 30]
    assert result.synaptic_operations == {"in->a": [1], "a->out": [1]}  # one operation a spike, whatever its value


def test_operations_are_spikes_times_fan_out_of_those_that_arrive():
    # A 3x3 kernel with 2 filters on 4x4: a corner pixel drives 1*2 synapses, an inner one 4*2.
    # Spikes: corner at step 0, inner pixel at steps 0 and 2; delay 1, three steps: the last one does not arrive.
    network = Network(
        "conv",
        (Population("in", (1, 4, 4)), Population("out", (2, 2, 2), Integrator())),
        (Projection("in", "out", (Conv2d(np.ones((2, 1, 3, 3), np.int8)),), delay=1),),
    )
    inputs = np.zeros((3, 1, 1, 4, 4), np.uint8)
    inputs[0, 0, 0, 0, 0] = inputs[0, 0, 0, 1, 1] = inputs[2, 0, 0, 1, 1] = 1
    assert emulate_reference(network, inputs, steps=3).synaptic_operations == {"in->out": [2 + 8]}
    assert emulate_reference(network, inputs).synaptic_operations == {"in->out": [2 + 8 + 8]}


def test_parallel_projections_share_one_count_of_operations():
    one = (OneToOne(np.array([1])),)
    network = Network(
        "parallel",
        (Population("in", (1,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", one), Projection("in", "out", one, delay=1)),
    )
    assert emulate_reference(network, train(1, 1), steps=2).synaptic_operations == {"in->out": [2 + 1]}


def test_recordings_hold_the_asked_steps_and_populations():
    network = chain(IF(threshold=5, bias=1))
    record = Recording(spikes=("*",), potentials=("out",), counts=("in",), steps=slice(1, None, 2))
    result = emulate_reference(network, train(1, 1, 0, 1), record=record)
    assert {name: spikes.ravel().tolist() for name, spikes in result.spikes.items()} == {"in": [1, 1], "out": [1, 1]}
    assert result.potentials["out"].ravel().tolist() == [3, 3]
    assert result.counts["in"].tolist() == [[3]]
    assert result.total_spikes["out"].tolist() == [2]
    assert (result.steps, result.samples, result.origin) == (4, 1, "emulated (reference)")


# Overflow ---------------------------------------------------------------------


def test_a_potential_that_overflows_is_told_with_its_place():
    form = IntegerFormat(8, overflow=Overflow.RAISE)
    network = Network(
        "raise",
        (Population("in", (2,)), Population("out", (1, 1, 2), Integrator(potential=form))),
        (Projection("in", "out", (OneToOne(np.array([60])), Reshape((1, 1, 2)))),),
    )
    inputs = np.zeros((3, 2, 2), np.uint8)
    inputs[:, 1, 1] = 1
    with pytest.raises(EmulationOverflow) as raised:
        emulate_reference(network, inputs)
    assert str(raised.value) == (
        "out, step 2, sample 1, neuron (0, 0, 1): membrane potential overflows (found 180, limit -128..127)"
    )
    assert (raised.value.step, raised.value.index, raised.value.found) == (2, (1, 0, 0, 1), 180)


def test_an_accumulator_that_overflows_is_told_with_its_place():
    network = chain(Integrator(), 9, accumulator=IntegerFormat(4, overflow=Overflow.RAISE), delay=1)
    with pytest.raises(EmulationOverflow) as raised:
        emulate_reference(network, train(0, 1))
    assert str(raised.value) == ("in->out, step 2, sample 0, neuron (0,): accumulator overflows (found 9, limit -8..7)")


# An independent formulation ---------------------------------------------------


def in_format(value, form):
    """`value` in `form`, in Python's own integers."""
    if form is None:
        return value
    span = 2**form.bits
    low = -span // 2 if form.signed else 0
    if form.overflow is Overflow.SATURATE:
        return min(max(value, low), low + span - 1)
    return (value - low) % span + low


def unrolled(network, inputs, steps):
    """Spikes and potentials of sample 0, by population, step and flat neuron index, neuron by neuron.

    Works on unrolled matrices and Python integers; knows IF and Integrator only.
    """
    sizes = {p.name: p.size for p in network.populations}
    matrices = [
        [[int(w) for w in row] for row in p.matrix(network[p.source].shape).toarray()] for p in network.projections
    ]
    spikes = {name: [] for name in sizes}
    potentials = {name: [] for name in sizes}
    quiet_until = {name: [0] * size for name, size in sizes.items()}

    def parameter(population, value, index):
        return int(np.broadcast_to(value, population.shape).ravel()[index])

    def current(population, step, index):
        total = 0
        for projection, matrix in zip(network.projections, matrices, strict=True):
            if projection.target == population.name and step >= projection.delay:
                sent = spikes[projection.source][step - projection.delay]
                weighted = sum(w * s for w, s in zip(matrix[index], sent, strict=True))
                up, down = 2 ** max(projection.exponent, 0), 2 ** max(-projection.exponent, 0)
                total += in_format(weighted * up // down, projection.accumulator)
        return total

    def update(population, step, index):
        neuron, name = population.neuron, population.name
        v = potentials[name][-1][index] if step else parameter(population, neuron.v_init, index)
        drive = current(population, step, index) + parameter(population, neuron.bias, index)
        if isinstance(neuron, Integrator):
            return 0, in_format(v + drive, neuron.potential)
        resting = step < quiet_until[name][index]
        v = in_format(v if resting else v + drive, neuron.potential)
        v = v if neuron.v_min is None else max(v, parameter(population, neuron.v_min, index))
        threshold = parameter(population, neuron.threshold, index)
        if resting or v < threshold or (neuron.fire == ">" and v == threshold):
            return 0, v
        quiet_until[name][index] = step + 1 + neuron.refractory
        return 1, v - threshold if neuron.reset == "subtract" else 0

    for step in range(steps):
        for population in network.order():
            name = population.name
            if population.is_input:
                given = inputs[name]
                sent = given[step, 0].ravel() if step < len(given) else np.zeros(sizes[name], int)
                spikes[name].append([int(s) for s in sent])
            else:
                # Nothing within the step may change before every neuron has seen it.
                updated = [update(population, step, index) for index in range(sizes[name])]
                spikes[name].append([s for s, _ in updated])
                potentials[name].append([v for _, v in updated])
    return spikes, potentials


def test_reference_equals_the_unrolled_formulation(random_cases):
    @settings(max_examples=60)
    @given(case=random_cases(ideal=True))
    def check(case):
        record = Recording(spikes=("*",), potentials=("*",))
        result = emulate_reference(case.network, case.inputs, steps=case.steps, record=record)
        spikes, potentials = unrolled(case.network, case.inputs, result.steps)
        for name, recorded in result.spikes.items():
            assert recorded[:, 0].reshape(result.steps, -1).tolist() == spikes[name], name
        for name, recorded in result.potentials.items():
            assert recorded[:, 0].reshape(result.steps, -1).tolist() == potentials[name], name

    check()


def test_samples_do_not_touch_each_other(random_cases):
    @settings(max_examples=30)
    @given(case=random_cases())
    def check(case):
        together = emulate_reference(case.network, case.inputs, steps=case.steps)
        last = together.samples - 1
        alone = emulate_reference(
            case.network, {name: given[:, last:] for name, given in case.inputs.items()}, steps=case.steps
        )
        for name, spikes in together.spikes.items():
            np.testing.assert_array_equal(spikes[:, last:], alone.spikes[name])
        for name, operations in together.synaptic_operations.items():
            np.testing.assert_array_equal(operations[last:], alone.synaptic_operations[name])

    check()

"""Types are proven wide enough, and used narrow where that is proven too."""

import numpy as np
import pytest

from nmdeploy.emulator.prepare import integer_stages
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.widths import linear_type, prove_widths
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense, OneToOne
from quantize import IntegerFormat, Overflow

ONE_SPIKE = np.ones((1, 1, 1), np.uint8)


def chain(neuron, weight, maximum=1, **projection):
    return Network(
        "chain",
        (Population("in", (1,), maximum=maximum), Population("out", (1,), neuron)),
        (Projection("in", "out", (Dense(np.array([[weight]])),), **projection),),
    )


def stage(network, steps=10):
    return integer_stages(network, prove_widths(network, steps))[-1]


@pytest.mark.parametrize(
    ("magnitude", "dtype"),
    [(0, "float32"), (2**24 - 1, "float32"), (2**24, "float64"), (2**53 - 1, "float64"), (2**53, "int64")],
)
def test_linear_maps_use_the_fastest_exact_type(magnitude, dtype):
    assert linear_type(magnitude) == dtype


def test_ideal_neurons_step_in_int32_while_nothing_can_leave_it():
    # Per step at most 2**20; the slack for parameters and one more current is far below 2**30.
    narrow = stage(chain(Integrator(), 2**20), steps=1000)
    assert narrow.state == np.int32
    assert narrow.neuron.initial_state((1, 1), narrow.state)["v"].dtype == np.int32
    assert stage(chain(Integrator(), 2**20), steps=2048).state == np.int64
    assert stage(chain(IF(threshold=2**31), 1)).state == np.int64
    assert stage(chain(Integrator(v_init=-(2**31)), 1)).state == np.int64
    assert stage(chain(Integrator(bias=2**31), 1)).state == np.int64


def test_an_int32_state_stays_int32_through_a_step():
    ready = stage(chain(IF(5, bias=np.array([1]), v_min=-3, refractory=1, v_init=2), 4))
    state = ready.neuron.initial_state((2, 1), ready.state)
    ready.neuron.step(state, np.zeros((2, 1), ready.state))
    assert state["v"].dtype == np.int32


def test_a_subclass_of_an_ideal_neuron_keeps_int64_and_its_own_parameters():
    class Leaky(IF):
        pass

    leaky = Leaky(5, potential=IntegerFormat(40))
    ready = stage(chain(leaky, 1))
    assert ready.state == np.int64
    assert ready.neuron is leaky


def test_chip_neurons_keep_int64(burst, two_sided):
    assert stage(chain(burst(3), 1)).state == stage(chain(two_sided(3), 1)).state == np.int64


@pytest.mark.parametrize("overflow", list(Overflow))
def test_formats_that_change_nothing_are_left_out(overflow):
    form = IntegerFormat(16, overflow=overflow)
    idle = stage(chain(Integrator(potential=form), 100, accumulator=IntegerFormat(8, overflow=overflow)))
    assert idle.neuron.potential is None
    assert idle.entering[0][0].scaled is False
    busy = stage(chain(Integrator(potential=form), 2**15, accumulator=IntegerFormat(16, overflow=overflow)))
    assert busy.neuron.potential == form
    assert busy.entering[0][0].scaled is True
    unsigned = stage(chain(Integrator(), -1, accumulator=IntegerFormat(8, signed=False, overflow=overflow)))
    assert unsigned.entering[0][0].scaled is True


@pytest.mark.parametrize("run", [emulate, emulate_reference])
def test_shifts_beyond_the_width_leave_only_the_sign(run):
    assert run(chain(Integrator(), 1, exponent=-99), ONE_SPIKE).final_potentials["out"].item() == 0
    assert run(chain(Integrator(), -1, exponent=-99), ONE_SPIKE).final_potentials["out"].item() == -1
    assert run(chain(Integrator(), 0, exponent=99), ONE_SPIKE).final_potentials["out"].item() == 0


def test_exponents_are_never_left_out():
    assert stage(chain(Integrator(), 1, exponent=1)).entering[0][0].scaled is True


@pytest.mark.parametrize("run", [emulate, emulate_reference])
@pytest.mark.parametrize(
    ("network", "steps", "where"),
    [
        (chain(Integrator(), 2**61), 4, "out: potentials in 4 steps"),
        (chain(Integrator(), 2**62, maximum=2), 1, "in->out: sums .*found 65 bits, limit 64 bits"),
        (chain(Integrator(), 2**40, exponent=30), 1, "in->out: sums .*found 72 bits"),
        (chain(Integrator(), 2**62, maximum=4, exponent=-30), 1, "in->out: sums .*found 66 bits"),
        (chain(Integrator(), 1, exponent=5_000), 1, "in->out: sums .*found 5002 bits"),
        (chain(IF(threshold=2**63 - 1), 1), 1, "out: potentials"),
    ],
)
def test_numbers_that_could_leave_int64_are_refused(run, network, steps, where):
    with pytest.raises(UsageError, match=where) as raised:
        run(network, ONE_SPIKE, steps=steps)
    assert raised.value.hint


def test_currents_that_could_leave_int64_together_are_refused(two_sided):
    weight = Dense(np.array([[2**61]]))
    network = Network(
        "many",
        (Population("in", (1,)), Population("out", (1,), two_sided(1))),
        tuple(Projection("in", "out", (weight,), delay=delay) for delay in range(4)),
    )
    with pytest.raises(UsageError, match="out: currents"):
        emulate(network, ONE_SPIKE)


def test_a_potential_format_lifts_the_limit_on_steps():
    # Without the format, 10**6 steps of 2**45 could reach 2**65.
    form = IntegerFormat(60, overflow=Overflow.SATURATE)
    assert prove_widths(chain(Integrator(potential=form), 2**45), 10**6)["out"].potential is not None
    with pytest.raises(UsageError, match="potentials in 1000000 steps"):
        prove_widths(chain(Integrator(), 2**45), 10**6)


@pytest.mark.parametrize("run", [emulate, emulate_reference])
def test_float_networks_and_uint64_are_refused(run):
    with pytest.raises(UsageError, match=r"chain: .*nmdeploy\.simulate"):
        run(chain(IF(0.5), 1), ONE_SPIKE)
    with pytest.raises(UsageError, match=r"chain: .*real"):
        run(chain(IF(1), 0.5), ONE_SPIKE)
    with pytest.raises(UsageError, match=r"out: .*uint64"):
        run(chain(IF(np.array([3], np.uint64)), 1), ONE_SPIKE)
    network = Network(
        "net",
        (Population("in", (1,)), Population("out", (1,), IF(1))),
        (Projection("in", "out", (OneToOne(np.ones(1, np.uint64)),)),),
    )
    with pytest.raises(UsageError, match=r"in->out: .*uint64"):
        run(network, ONE_SPIKE)

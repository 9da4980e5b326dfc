"""The neurons against a scalar model of the same binaries, written step by step in plain integers."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.errors import NetworkError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.spinnaker import TARGET
from targets.spinnaker.exponential import exp_accum, exp_fraction
from targets.spinnaker.fixed_point import LARGEST, ONE, SMALLEST, raw
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta

MODELS = (IFTruncDelta, IFCurrDelta, IFCurrExp)


def int32(value):
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def times(left, right):
    return int32((left * right) >> 15)


def kdivk(dividend, divisor):
    quotient = (abs(dividend) << 15) // abs(divisor)
    return int32(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def run(neuron, exc, inh=None):
    """Potentials and spikes of one neuron whose ring buffers hold `exc` and `inh`."""
    inh = np.zeros(len(exc), dtype=int) if inh is None else inh
    state = neuron.initial_state((1, 1), np.dtype(np.int64))
    potentials, spikes = [], []
    for rings in zip(exc, inh, strict=True):
        spikes.append(int(neuron.step(state, np.array(rings).reshape(2, 1, 1))[0, 0]))
        potentials.append(int(state["v"][0, 0]))
    return potentials, spikes


def test_the_potential_is_cut_at_its_reset_value():
    assert run(IFTruncDelta(v_reset=-5), [3, 0, 2], [0, 60, 0]) == ([3, -5, -3], [0, 0, 0])


def test_excitation_and_inhibition_saturate_apart():
    potentials, _ = run(IFTruncDelta(v_thresh=LARGEST), [65_536, 70_000], [0, 65_530])
    assert potentials == [65_535, 65_540]


def test_after_a_spike_the_input_of_the_refractory_steps_is_lost():
    neuron = IFTruncDelta(tau_refrac=2 * ONE)
    assert run(neuron, [ONE, 5, 7, 11])[0] == [0, 0, 0, 11]
    assert run(neuron, [ONE] * 5)[1] == [1, 0, 0, 1, 0]


@pytest.mark.parametrize(("tau_refrac", "steps"), [(0.0, 0), (0.1, 1), (1.0, 1), (1.0001, 2), (5.0, 5)])
def test_refractory_time_is_rounded_up_to_steps(tau_refrac, steps):
    assert IFTruncDelta(tau_refrac=raw(tau_refrac)).refractory_steps == steps


def test_the_default_refractory_time_of_pynn_is_one_silent_step():
    assert run(IFTruncDelta(tau_refrac=raw(0.1)), [ONE] * 4)[1] == [1, 0, 1, 0]


@pytest.mark.parametrize("model", MODELS)
def test_a_reset_at_or_above_the_threshold_fires_at_every_step_even_while_refractory(model):
    neuron = model(v_thresh=7, v_reset=7, tau_refrac=3 * ONE)
    assert run(neuron, [60_000, 0, 0, 0]) == ([7] * 4, [1] * 4)


@pytest.mark.parametrize("cm", [1, 3, 2**20])
def test_the_resistance_multiplies_input(cm):
    neuron = IFTruncDelta(cm=cm, tau_m=ONE, v_thresh=LARGEST, v_reset=SMALLEST)
    r = kdivk(ONE, cm)
    assert run(neuron, [100, 0], [0, 33])[0] == [times(100, r), int32(times(100, r) + times(-33, r))]


def test_the_potential_wraps_without_a_word():
    assert run(IFTruncDelta(v_thresh=LARGEST, v_init=LARGEST - 1, v_reset=SMALLEST), [3])[0] == [SMALLEST + 1]


def test_a_membrane_of_more_than_32768_ms_never_moves():
    neuron = IFCurrDelta(tau_m=LARGEST, cm=LARGEST, v_init=11)
    assert neuron.membrane_decay == ONE
    assert run(neuron, [30_000] * 5)[0] == [11] * 5


@pytest.mark.parametrize("tau_m", [raw(16384.5), raw(32768.0)])
def test_the_smallest_leak(tau_m):
    assert IFCurrDelta(tau_m=tau_m).membrane_decay == 32_766


def test_a_synapse_of_a_sixteenth_of_a_step_passes_a_sixteenth_less_one_unit():
    neuron = IFCurrExp(tau_syn_exc=2048, tau_syn_inh=2048)
    assert [int(decay) for decay in neuron.synaptic_decays] == [0, 0]
    assert [int(fraction) for fraction in neuron.input_fractions] == [2**28 - 1] * 2
    x = np.array([0, 16, 160, 16_384])
    exc, _ = neuron.synaptic_input({}, np.array([x, x]))
    assert exc.tolist() == [0, 0, 9, 1_023]


def test_initial_input_acts_once_in_a_delta_synapse():
    assert run(IFTruncDelta(isyn_exc=9, isyn_inh=2), [1, 1])[0] == [8, 9]


def test_what_never_changes_takes_no_memory():
    shape, kind = (1, 2), np.dtype(np.int64)
    assert set(IFTruncDelta().initial_state(shape, kind)) == {"v"}
    assert set(IFTruncDelta(tau_refrac=1, isyn_inh=1).initial_state(shape, kind)) == {
        "v",
        "refract_timer",
        "exc",
        "inh",
    }
    assert set(IFCurrExp().initial_state(shape, kind)) == {"v", "exc", "inh"}
    assert set(IFCurrExp(tau_syn_exc=2048, tau_syn_inh=2048).initial_state(shape, kind)) == {"v"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"cm": 0}, "cm is 0, it must be in 1..2147483647"),
        ({"tau_m": np.array([5, -1])}, "tau_m is -1, it must be in 1..2147483647"),
        ({"v_init": LARGEST + 1}, "v_init is 2147483648, it must be in -2147483648..2147483647"),
        ({"shift_inh": 32}, "shift_inh is 32, it must be in 0..31"),
        ({"tau_refrac": -1}, "tau_refrac is -1, it must be in 0..2147483647"),
        ({"v_reset": 0.5}, "all parameters must be raw integers, 32768 for 1.0"),
        ({"time_step": 1, "tau_refrac": 2 * ONE}, "tau_refrac / time_step is 65536, it must be below 65536"),
        ({"i_offset": np.zeros(3, dtype=int)}, "i_offset of shape (3,) does not broadcast to (2,)"),
    ],
)
def test_parameters_are_checked(model, parameters, fault):
    assert fault in model(**parameters).faults((2,))


@pytest.mark.parametrize("model", [IFCurrDelta, IFCurrExp])
def test_leaks_are_checked(model):
    assert model(v_rest=SMALLEST - 1).faults((2,)) == ["v_rest is -2147483649, it must be in -2147483648..2147483647"]
    fault = "time_step / tau_m is 131072, it must be below 65536"
    assert model(tau_m=1, time_step=4 * ONE).faults((2,)) == [fault]


def test_synapses_are_checked():
    assert IFCurrExp(tau_syn_exc=0).faults((2,)) == ["tau_syn_exc is 0, it must be in 1..2147483647"]
    (fault,) = IFCurrExp(tau_syn_inh=2 * ONE, tau_syn_exc=1, time_step=1).faults((2,))
    assert fault == "tau_syn_inh / time_step is 65536, it must be below 65536"
    assert IFCurrExp().faults((2,)) == []


def test_a_network_refuses_faulty_neurons():
    populations = (Population("in", (2,)), Population("out", (1,), IFTruncDelta(cm=0)))
    with pytest.raises(NetworkError, match="out: cm is 0"):
        Network("faulty", populations, (Projection("in", "out", (Dense(np.ones((1, 2), int)),)),))


def test_the_family_lists_its_models():
    assert tuple(TARGET.neuron_models()) == MODELS
    assert [model.kind for model in MODELS] == [f"spinnaker.{model.__name__}" for model in MODELS]


@dataclass
class ScalarNeuron:
    """One neuron, as the core's memory holds it."""

    model: type
    parameters: dict

    def __post_init__(self):
        p = self.parameters
        self.v, self.timer = p["v_init"], 0
        self.exc, self.inh = p["isyn_exc"], p["isyn_inh"]
        self.r = kdivk(p["tau_m"], p["cm"])
        self.t_refract = ceil(kdivk(p["tau_refrac"], p["time_step"]) / ONE)
        self.exp_tc = int(exp_accum(-kdivk(p["time_step"], p["tau_m"])))
        self.scale = kdivk(ONE, p["time_step"])

    def synapse(self, tau_syn):
        time_step = self.parameters["time_step"]
        decay = int(exp_fraction(-kdivk(time_step, tau_syn)))
        return decay, ((kdivk(tau_syn, time_step) * (0xFFFFFFFF - decay)) >> 15) & 0xFFFFFFFF

    def step(self, ring_exc, ring_inh):
        p, is_exp = self.parameters, self.model is IFCurrExp
        x_exc = int32(min(ring_exc, 65535) << p["shift_exc"])
        x_inh = int32(min(ring_inh, 65535) << p["shift_inh"])
        if is_exp:
            (d_exc, init_exc), (d_inh, init_inh) = self.synapse(p["tau_syn_exc"]), self.synapse(p["tau_syn_inh"])
            x_exc, x_inh = (x_exc * init_exc) >> 32, (x_inh * init_inh) >> 32
        self.exc, self.inh = int32(self.exc + x_exc), int32(self.inh + x_inh)
        if self.timer > 0:
            self.timer -= 1
        else:
            self.integrate()
        fired = self.v >= p["v_thresh"]
        if fired:
            self.v, self.timer = p["v_reset"], self.t_refract
        if is_exp:
            self.exc, self.inh = (self.exc * d_exc) >> 32, (self.inh * d_inh) >> 32
        else:
            self.exc = self.inh = 0
        return fired

    def integrate(self):
        p, exc, inh = self.parameters, self.exc, self.inh
        if self.model is IFTruncDelta:
            total = int32(exc - inh + p["i_offset"])
            self.v = max(int32(self.v + times(total, self.r)), p["v_reset"])
            return
        if self.model is IFCurrDelta:
            exc, inh = times(exc, self.scale), times(inh, self.scale)
        alpha = int32(times(int32(exc - inh + p["i_offset"]), self.r) + p["v_rest"])
        self.v = int32(alpha - times(self.exp_tc, int32(alpha - self.v)))


words = st.one_of(st.integers(SMALLEST, LARGEST), st.integers(-2 * ONE, 2 * ONE))
times_ms = st.integers(ONE // 4, 30 * ONE)


def parameters_of(model):
    found = {
        "v_thresh": words,
        "v_reset": words,
        "v_init": words,
        "i_offset": words,
        "cm": st.one_of(st.integers(1, LARGEST), st.just(ONE)),
        "tau_m": times_ms,
        "tau_refrac": st.sampled_from((0, 0, 1, ONE, 3 * ONE + 1)),
        "shift_exc": st.integers(0, 17),
        "shift_inh": st.integers(0, 17),
        "isyn_exc": st.one_of(st.just(0), words),
        "isyn_inh": st.one_of(st.just(0), words),
        "time_step": st.sampled_from((ONE, ONE, 3277)),
    }
    if model is not IFTruncDelta:
        found["v_rest"] = words
    if model is IFCurrExp:
        found |= {"tau_syn_exc": times_ms, "tau_syn_inh": st.one_of(times_ms, st.just(2048))}
    return found


@pytest.mark.parametrize("model", MODELS)
@given(st.data())
def test_every_word_of_every_step_is_that_of_the_scalar_model(model, data):
    drawn = [data.draw(st.fixed_dictionaries(parameters_of(model))) for _ in range(3)]
    drawn = [{**each, "time_step": drawn[0]["time_step"]} for each in drawn]
    neuron = model(**{name: np.array([each[name] for each in drawn]) for name in drawn[0]})
    assert neuron.faults((3,)) == []
    scalars = [ScalarNeuron(model, each) for each in drawn]
    state = neuron.initial_state((1, 3), np.dtype(np.int64))
    ring = st.one_of(st.integers(0, 70_000), st.just(0))
    for _ in range(6):
        rings = np.array(data.draw(st.lists(st.tuples(ring, ring), min_size=3, max_size=3)))
        fired = neuron.step(state, rings.T[:, np.newaxis])
        expected = [scalar.step(int(exc), int(inh)) for scalar, (exc, inh) in zip(scalars, rings, strict=True)]
        assert fired.tolist() == [[int(each) for each in expected]]
        assert state["v"].tolist() == [[scalar.v for scalar in scalars]]
        timers = state.get("refract_timer", np.zeros((1, 3)))
        assert timers.tolist() == [[scalar.timer for scalar in scalars]]
        carried = [state.get(name, np.zeros((1, 3))).tolist()[0] for name in ("exc", "inh")]
        assert carried == [[scalar.exc for scalar in scalars], [scalar.inh for scalar in scalars]]

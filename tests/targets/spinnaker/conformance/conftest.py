"""Small recordings made here, in the form of those that the binaries made."""

import numpy as np
import pytest

from targets.spinnaker.exponential import exp_accum, exp_fraction
from targets.spinnaker.fixed_point import ONE
from targets.spinnaker.local_only import convolution_map, pool_dense_map
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta
from targets.spinnaker.ring_buffer import kernel_weights

COUNT, STEPS = 3, 5


def rng():
    return np.random.Generator(np.random.PCG64(11))


def both_signs(signed):
    """A map with excitatory and inhibitory magnitudes apart, on axis 2."""
    return np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=2).astype(np.uint16)


def neurons(model, tau_refrac=ONE):
    """Neurons that fire, are refractory, and inhibit."""
    random, each = rng(), np.arange(COUNT, dtype=np.int32)
    recorded = {
        "vinit": 100 * each,
        "cm": 3 * ONE + each,
        "tau_m": 20 * ONE + each,
        "i_offset": 50 + each,
        "v_reset": -7 * each,
        "tau_ref": tau_refrac + 0 * each,
        "v_thresh": ONE + each,
        "isyn_e0": 5 * each,
        "isyn_i0": 0 * each,
        "dt": ONE + 0 * each,
        "shift": np.stack([each % 2, 0 * each], axis=1),
        "exc": random.integers(0, 3_000, (COUNT, STEPS)).astype(np.uint16),
        "inh": random.integers(0, 2_000, (COUNT, STEPS)).astype(np.uint16),
    }
    names = {
        "v_init": "vinit",
        "tau_refrac": "tau_ref",
        "isyn_exc": "isyn_e0",
        "isyn_inh": "isyn_i0",
        "time_step": "dt",
    }
    names |= {name: name for name in ("cm", "tau_m", "i_offset", "v_reset", "v_thresh")}
    if model is not IFTruncDelta:
        recorded["vrest"], names["v_rest"] = 3 * each, "vrest"
    if model is IFCurrExp:
        recorded |= {"tau_syn_e": 4 * ONE + each, "tau_syn_i": 6 * ONE + each}
        names |= {"tau_syn_exc": "tau_syn_e", "tau_syn_inh": "tau_syn_i"}
    shifts = {"shift_exc": recorded["shift"][:, 0], "shift_inh": recorded["shift"][:, 1]}
    neuron = model(**{name: recorded[key] for name, key in names.items()}, **shifts)
    return recorded | _constants(neuron) | _run(neuron, recorded)


def _constants(neuron):
    found = {"R": neuron.resistance, "t_refract": neuron.refractory_steps}
    if not isinstance(neuron, IFTruncDelta):
        found["exp_tc"] = neuron.membrane_decay
    if isinstance(neuron, IFCurrExp):
        found["dec_e"], found["dec_i"] = neuron.synaptic_decays
        found["init_e"], found["init_i"] = neuron.input_fractions
    return found


def _run(neuron, recorded):
    state, rows = neuron.initial_state((1, COUNT), np.dtype(np.int64)), []
    for step in range(STEPS):
        current = np.stack([recorded["exc"][:, step], recorded["inh"][:, step]])[:, None].astype(np.int64)
        exc, inh = neuron.synaptic_input(state, current)
        row = {"exc_in": exc[0], "inh_in": inh[0], "v_rec": state["v"][0]}
        row["spikes"] = neuron.step(state, current)[0]
        timer = state.get("refract_timer", np.zeros((1, COUNT), dtype=np.int64))[0]
        rows.append(row | {"v_after": state["v"][0], "refrac_after": timer})
    return {key: np.stack([row[key] for row in rows], axis=1) for key in rows[0]}


def tables():
    arguments = -np.arange(50)
    return {"expk_neg": exp_accum(arguments), "expulr_neg": exp_fraction(arguments)}


def convolutions():
    """One that is the layer meant, one with a stride."""
    kernel = rng().integers(-90, 90, (3, 3)).astype(np.float64)
    raw = kernel_weights(kernel / 256, 1)
    plain = convolution_map(raw, (4, 5), (4, 5), (1, 1), (1, 1), (1, 1))
    strided = convolution_map(raw, (4, 5), (1, 1), (0, 0), (2, 2), (1, 1))
    return {
        "plain_map": both_signs(plain),
        "plain_kernel_q": kernel,
        "plain_meta": np.array([1, 1, 1, 5, 4, 5, 4, 5, 4]),
        "strided_map": both_signs(strided),
        "strided_kernel_q": kernel,
        "strided_meta": np.array([0, 2, 1, 5, 4, 1, 1, 1, 1]),
    }


def pool_dense():
    matrix = rng().integers(-90, 90, (2, 3)).astype(np.float64)
    raw = kernel_weights(matrix / 256 / 4, 1)
    found = both_signs(pool_dense_map(raw, (2, 4), (2, 2)))
    return {"pd_map": found, "pd_q": matrix, "pd_meta": np.array([2, 4, 2])}


def nets(model=0):
    """Two layers of neurons, stepped here by hand."""
    random, steps = rng(), 6
    weights = [random.integers(-9_000, 20_000, (4, 3)), random.integers(-9_000, 30_000, (3, 2))]
    kind = (IFTruncDelta, IFCurrDelta)[model]
    spikes = [random.integers(0, 2, (steps, 4)).astype(np.uint8)]
    recorded = {"case0_meta": np.array([model, 0, 1, ONE, 4 * ONE, 2 * ONE]), "case0_s0": spikes[0]}
    for layer, matrix in enumerate(weights):
        bias = random.integers(0, 500, matrix.shape[1])
        neuron = kind(i_offset=bias, shift_exc=1, shift_inh=1, tau_m=4 * ONE, cm=2 * ONE)
        state, potentials, fired = neuron.initial_state((1, len(bias)), np.dtype(np.int64)), [], []
        for step in range(steps):
            arriving = spikes[-1][step - 1].astype(np.int64) if step else np.zeros(len(matrix), dtype=np.int64)
            signs = (arriving @ np.maximum(matrix, 0), arriving @ np.maximum(-matrix, 0))
            fired.append(neuron.step(state, np.stack(signs)[:, None])[0])
            potentials.append(state["v"][0])
        spikes.append(np.stack(fired))
        recorded |= {f"case0_w{layer}": matrix, f"case0_ioff{layer}": bias}
        recorded |= {f"case0_v{layer + 1}": np.stack(potentials), f"case0_s{layer + 1}": spikes[-1]}
    return recorded


RECORDINGS = {
    "IFTruncDelta": lambda: neurons(IFTruncDelta),
    "IFCurrDelta": lambda: neurons(IFCurrDelta),
    "IFCurrExp": lambda: neurons(IFCurrExp),
    "never refractory": lambda: neurons(IFTruncDelta, tau_refrac=0),
    "tables": tables,
    "convolutions": convolutions,
    "pool-dense": pool_dense,
    "nets": nets,
    "leaky nets": lambda: nets(1),
}


@pytest.fixture(params=RECORDINGS)
def arrays(request):
    """Every kind of recording."""
    return RECORDINGS[request.param]()


@pytest.fixture
def recording():
    """A recording by the name of its kind."""
    return lambda kind: RECORDINGS[kind]()


@pytest.fixture
def written(tmp_path):
    """Write arrays into a file."""

    def write(arrays):
        path = tmp_path / "recording.npz"
        np.savez(path, **arrays)
        return path

    return write

"""What the `chip` profile leaves out, held against nengo-loihi's arithmetic written down a second time."""

from collections import Counter

import numpy as np
import pytest

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense
from targets.loihi import TARGET
from targets.loihi.conformance.common_range import departures, in_storable_parts
from targets.loihi.conformance.vectors import read_nets
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset
from targets.loihi.weights import SignMode, stored_weights

EVERYTHING = Recording(spikes=("*",), potentials=("out", "out.u"))


def net(weights, neuron=None, *, exponent=0, delay=1, maximum=1):
    """Dense projections, one for each weight matrix, into the same Loihi neurons."""
    matrices = [np.asarray(weight) for weight in (weights if np.ndim(weights) == 3 else [weights])]
    populations = (
        Population("in", (matrices[0].shape[1],), maximum=maximum),
        Population("out", (matrices[0].shape[0],), neuron or LoihiLIF(1000)),
    )
    projections = tuple(Projection("in", "out", (Dense(matrix),), delay, exponent) for matrix in matrices)
    return Network("net", populations, projections)


def told(network, chip, spikes):
    """(code, where, found) of every departure, for spikes `[T, inputs]`."""
    inputs = np.asarray(spikes, dtype=np.uint8)[:, np.newaxis]
    result = emulate(network, {"in": inputs}, steps=len(inputs), record=EVERYTHING)
    return [(each.code, each.where, each.found) for each in departures(network, result, chip)]


def test_a_run_in_the_common_range_departs_nowhere(loihi1):
    assert told(net([[2, -4]]), loihi1, [[1, 1], [0, 1], [1, 0]]) == []


def test_only_the_exponents_that_cost_a_step_something_count(loihi1):
    lossy = net([[2, 6]], exponent=-2)  # 2 + 6 is 8: no bit is lost when both come together
    assert told(lossy, loihi1, [[0, 0], [0, 0]]) == []
    assert told(lossy, loihi1, [[1, 0], [0, 0]]) == []  # 2 >> 2 is 0 either way
    assert told(lossy, loihi1, [[0, 0], [1, 1], [0, 0]]) == [("LOI006", "in->out, step 2, neuron (0,)", 2)]


def test_the_accumulator_sees_all_connections_together(loihi1):
    edge = [np.array([[255] * 64], np.int16)] * 2  # 2 * 64 * 255 = 32640
    assert told(net(edge), loihi1, [[1] * 64, [0] * 64]) == []
    beyond = [*edge, np.array([[128] + [0] * 63], np.int16)]
    found = told(net(beyond), loihi1, [[0] * 64, [1] * 64, [0] * 64])
    assert found == [("LOI007", "out, step 2, neuron (0,)", 32768)]
    below = [np.array([[-256] * 64 + [2]], np.int16)] * 2  # two's complement reaches -32768
    assert told(net(below), loihi1, [[1] * 64 + [0], [0] * 65]) == []


def test_currents_that_last_add_up(loihi1):
    weights = [np.array([[250] * 100], np.int16)]  # 25000 a step, half of which stays: u nears 3.2 million
    neuron = LoihiLIF(131071, du=10, bias_mant=4095, bias_exp=7)
    spikes = [[1] * 100] * 8
    (code, where, found), *_ = told(net(weights, neuron), loihi1, spikes)
    assert (code, where) == ("LOI012", "out, step 6, neuron (0,)")
    assert found > 2**23
    assert told(net(weights, LoihiLIFReset(131071, du=10, interval=3)), loihi1, spikes) == []


def test_a_delay_of_63_steps_matters_once_something_came_through(loihi1):
    late = net([[2]], delay=64)
    assert told(late, loihi1, [[1]] * 64) == []
    assert told(late, loihi1, [[1]] * 65) == [("LOI014", "in->out", 64)]


def test_rules_on_parameters_hold_without_a_run(loihi1):
    assert [code for code, *_ in told(net([[3, -5]], LoihiLIF(131072)), loihi1, [[0, 0]])] == ["LOI005", "LOI008"]


@pytest.mark.parametrize("largest", [100, 255, 600])
def test_parts_add_up_to_the_same_run(rng, largest):
    kernel = rng.integers(-largest, largest + 1, (2, 1, 3, 3))
    kernel.flat[:2] = largest, -largest + 1
    populations = (Population("in", (1, 5, 5)), Population("out", (2, 3, 3), LoihiLIF(3 * largest)))
    network = Network("conv", populations, (Projection("in", "out", (Conv2d(kernel),), delay=1),))
    parts = in_storable_parts(network)
    assert len(parts.projections) == 2 * -(-largest // 255)
    for projection in parts.projections:
        weight = projection.synapses[0].weight
        np.testing.assert_array_equal(stored_weights(weight), weight)
    spikes = rng.integers(0, 2, (9, 2, 1, 5, 5)).astype(np.uint8)
    whole, split = (emulate(each, spikes, record=EVERYTHING) for each in (network, parts))
    for name in ("out", "out.u"):
        np.testing.assert_array_equal(whole.potentials[name], split.potentials[name])


def test_what_can_be_stored_or_never_fits_is_not_split(rng):
    for weights in ([[2, -4]], [[255, 3]], [[1, -800]]):
        network = net(weights)
        assert in_storable_parts(network).projections == network.projections
    shifted = net([[1, -3]], exponent=-1)  # the shift of parts is not the shift of their sum
    assert in_storable_parts(shifted).projections == shifted.projections


# --- against the chip's arithmetic, as in nengo-loihi's emulator ---


def overflowed(values, bits):
    """Two's complement of `bits` bits and sign (nengo-loihi `overflow_signed`)."""
    return ((values + (1 << bits)) & ((2 << bits) - 1)) - (1 << bits)


def decayed(values, keep):
    return np.sign(values) * ((np.abs(values) * keep) >> 12)


def nengo_loihi(recorded):
    """u, v and spikes of each layer of a recorded net of undelayed dense layers."""
    sent, layers = (recorded.inputs != 0).astype(np.int64), []
    for layer in recorded.layers:
        assert layer["kind"] in ("dense", "sparse")
        mode = None if layer["sign_mode"] == "auto" else SignMode(layer["sign_mode"])
        weights = stored_weights(layer.arrays["weights"], mode, layer["num_weight_bits"])
        exponent = layer["weight_exp"]
        each = weights << exponent if exponent >= 0 else weights >> -exponent  # every synapse, not the sum
        mantissa, shift = layer.arrays["bias_mant"].astype(np.int64), layer.arrays["bias_exp"].astype(np.int64)
        bias = np.where(shift >= 0, mantissa << np.maximum(shift, 0), mantissa >> np.maximum(-shift, 0))
        zeros = np.zeros(layer.shape, dtype=np.int64)
        u, v = layer.arrays.get("u0", zeros).astype(np.int64), layer.arrays.get("v0", zeros).astype(np.int64)
        rows = []
        for step in range(sent.shape[-1]):
            arrived = each @ sent[:, step - 1] if step else zeros
            u = overflowed(decayed(u, 4095 - layer["du"]) + overflowed(arrived * 64, 21), 23)
            v = decayed(v, 4096 - layer["dv"]) + overflowed(u + bias, 23)
            v = np.clip(v, 1 - 2**23, 2**23 - 1)
            fired = v > layer["vth"] * 64
            v = np.where(fired, 0, v)
            rows.append((u, v, fired.astype(np.int64)))
        u_all, v_all, sent_all = (np.array(column) for column in zip(*rows, strict=True))
        layers.append({"u": u_all, "v": v_all, "s": sent_all})
        sent = sent_all.T
    return layers


SAME_WRAP = {
    # Lava wraps u to 24 bits, nengo-loihi the accumulator to 22 and u to 24: here both end at the
    # same value. Brian2Loihi wraps neither.
    "extreme": {"c000", "c003"},
}


@pytest.fixture(scope="module")
def chip_report(shared_data):
    return TARGET.conformance([shared_data / "golden" / "loihi"], "chip")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["typical", "chain2", "dense_if", "dense_leaky", "sparse", "extreme"])
def test_nets_are_left_out_exactly_where_the_chip_differs_from_lava(shared_data, chip_report, name):
    entries = [entry.split(":")[0].split() for entry in chip_report.skipped]
    left_out = {net_name for file, net_name in entries if file == f"{name}.npz"}
    differs = set()
    for recorded in read_nets(shared_data / "golden" / "loihi" / f"{name}.npz"):
        pairs = zip(recorded.layers, nengo_loihi(recorded), strict=True)
        if any(np.any(layer.recorded[key] != found[key]) for layer, found in pairs for key in ("u", "v", "s")):
            differs.add(recorded.name)
    assert left_out - differs == SAME_WRAP.get(name, set())
    assert differs - left_out == set()


@pytest.mark.shared
def test_how_many_nets_the_chip_profile_compares(chip_report):
    counts = (chip_report.files, chip_report.nets, len(chip_report.skipped), chip_report.mismatches)
    assert counts == (12, 243, 60, 0)
    reasons = Counter(entry.split(": ")[1].split()[0] for entry in chip_report.skipped)
    assert reasons == {"LOI005": 10, "LOI006": 17, "LOI007": 30, "LOI012": 1, "LOI014": 2}

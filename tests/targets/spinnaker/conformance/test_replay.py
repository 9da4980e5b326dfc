import re

import numpy as np
import pytest

from nmdeploy.cli.main import cli
from nmdeploy.errors import DataError, UsageError
from targets.spinnaker import TARGET
from targets.spinnaker.conformance import conformance, nets, neurons, replay, tables
from targets.spinnaker.conformance.replay import engines_here
from targets.spinnaker.fixed_point import ONE, divide

FILES = {
    # file: nets, neuron-steps, values
    "IF_trunc_delta": (1, 320 * 150, 2 * 320),
    "IF_curr_delta": (1, 320 * 150, 3 * 320),
    "IF_curr_exp": (1, 320 * 150, 7 * 320),
    "exp_tables": (0, 0, 2 * 340_704),
    "conv_maps": (15, 0, None),
    "pooldense_maps": (4, 0, 4 * 8 * 12 * 10),
    "dense_nets": (2, 2 * 120 * 90, 0),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", FILES)
def test_every_recording_of_the_shipped_binaries_is_reproduced_by_every_engine(shared_data, name):
    report = TARGET.conformance([shared_data / "golden" / "spinnaker" / f"{name}.npz"])
    assert report.first == []
    assert report.mismatches == 0
    assert report.passed
    count, neuron_steps, values = FILES[name]
    assert (report.nets, report.neuron_steps) == (count, neuron_steps)
    assert values in (None, report.values)


@pytest.mark.shared
def test_the_folder_is_taken_as_a_whole(shared_data):
    report = conformance([shared_data / "golden" / "spinnaker"], "conv", engines=("numpy",))
    assert (report.files, report.profile, report.mismatches) == (7, "conv", 0)
    assert report.passed


def test_recordings_made_here_are_reproduced(arrays, written):
    report = conformance([written(arrays)])
    assert report.first == []
    assert report.passed


PLANTED = [
    ("IFTruncDelta", "v_after", (1, 3), "v_after (reference) differs first at step 3, neuron (1,)"),
    ("IFTruncDelta", "spikes", (2, 0), "spikes (reference) differs first at step 0, neuron (2,)"),
    ("IFTruncDelta", "v_rec", (0, 2), "v_rec (reference) differs first at step 2, neuron (0,)"),
    ("IFCurrDelta", "refrac_after", (0, 4), "refrac_after (reference) differs first at step 4, neuron (0,)"),
    ("IFCurrExp", "exc_in", (1, 1), "exc_in differs first at step 1, neuron (1,)"),
    ("IFCurrExp", "inh_in", (2, 4), "inh_in differs first at step 4, neuron (2,)"),
    ("IFTruncDelta", "R", (1,), "R differs first at index (1,)"),
    ("IFTruncDelta", "t_refract", (1,), "t_refract differs first at index (1,)"),
    ("IFCurrDelta", "exp_tc", (2,), "exp_tc differs first at index (2,)"),
    ("IFCurrExp", "dec_e", (0,), "dec_e differs first at index (0,)"),
    ("IFCurrExp", "dec_i", (0,), "dec_i differs first at index (0,)"),
    ("IFCurrExp", "init_e", (0,), "init_e differs first at index (0,)"),
    ("IFCurrExp", "init_i", (0,), "init_i differs first at index (0,)"),
    ("never refractory", "refrac_after", (0, 0), "refrac_after (reference) differs first at step 0, neuron (0,)"),
    ("tables", "expk_neg", (17,), "entry differs first at index (17,)"),
    ("tables", "expulr_neg", (49,), "entry differs first at index (49,)"),
    ("convolutions", "strided_map", (3, 4, 0, 0, 0), "weights added by a spike differs first at index (3, 4, 0, 0)"),
    ("pool-dense", "pd_map", (1, 3, 1, 2), "weights added by a spike differs first at index (1, 3, 2)"),
    ("nets", "case0_v1", (5, 2), "layer 1 v (reference) differs first at step 5, neuron (2,)"),
    ("leaky nets", "case0_s2", (3, 1), "layer 2 spikes (reference) differs first at step 3, neuron (1,)"),
]


@pytest.mark.parametrize(("kind", "key", "place", "told"), PLANTED)
def test_one_wrong_integer_is_found_and_located(recording, written, kind, key, place, told):
    arrays = recording(kind)
    wrong = arrays[key].astype(np.int64)
    wrong[place] = 1 - wrong[place] if key.endswith(("spikes", "s2")) else wrong[place] + 1
    if key.endswith("_map"):  # a synapse is of one sign
        other = (*place[:2], 1 - place[2], *place[3:])
        wrong[other] = 0
    report = conformance([written({**arrays, key: wrong})])
    assert not report.passed
    assert report.mismatches >= 1
    assert told in str(report.first[0])


def truncating(left, right):
    """A product rounded toward zero, as a port without the floor would have it."""
    product = np.multiply(left, right, dtype=np.int64)
    return np.sign(product) * (np.abs(product) >> 15)


@pytest.mark.parametrize("kind", ["IFTruncDelta", "IFCurrDelta", "IFCurrExp"])
def test_another_rounding_is_found(recording, written, monkeypatch, kind):
    path = written(recording(kind))
    monkeypatch.setattr("targets.spinnaker.neuron.multiply", truncating)
    report = conformance([path])
    assert report.mismatches > 0


def test_another_exponential_is_found(recording, written, monkeypatch):
    path = written(recording("IFCurrExp"))
    exact = lambda x: np.rint(np.exp(np.asarray(x) / ONE) * 2.0**32).astype(np.int64)  # noqa: E731
    monkeypatch.setattr("targets.spinnaker.neuron.exp_fraction", exact)
    assert "dec_e" in str(conformance([path]).first[0])


def test_a_fault_of_one_engine_is_told_with_its_name(recording, written, monkeypatch):
    path, true = written(recording("nets")), nets.emulate

    def faulty(*args, engine, **options):
        result = true(*args, engine=engine, **options)
        if engine == "numpy":
            result.spikes["layer2"][4, 0, 1] ^= 1
        return result

    monkeypatch.setattr(nets, "emulate", faulty)
    report = conformance([path])
    assert report.mismatches == 1
    assert "layer 2 spikes (numpy) differs first at step 4, neuron (1,)" in str(report.first[0])


def test_a_layer_that_is_not_what_the_rule_says_is_found(recording, written, monkeypatch):
    path = written(recording("convolutions"))
    monkeypatch.setattr("targets.spinnaker.conformance.maps.connector_kernel", lambda kernel: kernel)
    report = conformance([path])
    assert report.mismatches > 0
    assert "plain: weights of the layer" in str(report.first[0])


def test_engines_can_be_chosen(recording, written):
    path = written(recording("nets"))
    assert conformance([path], engines=("numpy",)).passed
    assert engines_here()[:2] == ("reference", "numpy")


def test_without_kernels_two_engines_are_left(monkeypatch):
    monkeypatch.setattr(replay.compiled, "sets", lambda: ())
    assert engines_here() == ("reference", "numpy")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("IFTruncDelta", {"cm": None}, "the recording has no 'cm'"),
        ("IFTruncDelta", {"cm": np.zeros(3, int)}, "the neurons cannot be built: .*cm is 0"),
        ("IFTruncDelta", {"exc": np.full((3, 5), 65_536)}, "a ring buffer holds 16 bits"),
        ("IFTruncDelta", {"inh": np.full((3, 5), -1)}, "a ring buffer holds 16 bits"),
        (
            "IFTruncDelta",
            {"spikes": np.zeros((3, 4), int)},
            r"spikes has another shape \(found \(3, 4\), limit \(3, 5\)",
        ),
        ("IFTruncDelta", {"vinit": np.zeros((3, 1), int)}, r"vinit has another shape .*\('any',\)"),
        ("IFCurrDelta", {"vrest": np.array([0.5, 1, 1])}, "vrest holds no integers"),
        ("IFCurrDelta", {"vrest": np.array([1e30, 1, 1])}, "vrest holds no integers"),
        ("IFCurrDelta", {"vrest": np.array([np.nan, 1, 1])}, "vrest holds no integers"),
        ("IFCurrDelta", {"vrest": np.array(["a", "b", "c"])}, "vrest holds no integers"),
        ("convolutions", {"plain_meta": np.array([1, 0, 1, 5, 4, 5, 4, 5, 4])}, "plain: padding, stride or pool"),
        ("convolutions", {"plain_meta": np.array([-1, 1, 1, 5, 4, 5, 4, 5, 4])}, "plain: padding, stride or pool"),
        ("convolutions", {"plain_map": np.ones((4, 5, 2, 4, 5), int)}, "plain_map is no map of single synapses"),
        ("convolutions", {"plain_map": -np.ones((4, 5, 2, 4, 5), int)}, "plain_map is no map of single synapses"),
        ("pool-dense", {"pd_meta": np.array([0, 4, 2])}, "pd: a pool window"),
        ("pool-dense", {"pd_meta": np.array([3, 4, 2])}, "pd: matrix, window and map do not go together"),
        ("pool-dense", {"pd_q": np.ones((1, 3))}, "pd: matrix, window and map do not go together"),
        ("nets", {"case0_meta": np.array([2, 0, 1, 1, 1, 1])}, "unknown neuron model"),
        ("nets", {"case0_meta": np.array([0, 0, 1, 1, 1, 0])}, "the net cannot be built: .*cm is 0"),
        ("nets", {"case0_w1": np.ones((4, 2), int)}, "the net cannot be built"),
        ("nets", {"case0_w0": None, "case0_w1": None}, "the net cannot be built"),
        ("nets", {"case0_s0": np.full((6, 4), 2)}, "layer0"),
    ],
)
def test_files_that_are_no_such_recording_are_refused(recording, written, kind, changes, message):
    arrays = {key: value for key, value in {**recording(kind), **changes}.items() if value is not None}
    with pytest.raises(DataError, match=message):
        conformance([written(arrays)])


@pytest.mark.parametrize(("arrays", "found"), [({}, "no arrays"), ({"x": np.zeros(1)}, "found x")])
def test_other_files_are_refused(written, arrays, found):
    with pytest.raises(DataError, match=f"not a recording of SpiNNaker's binaries.*{found}"):
        conformance([written(arrays)])


def test_usage_errors(tmp_path):
    with pytest.raises(UsageError, match=r"unknown profile.*'lava'.*chip, conv"):
        conformance([tmp_path], "lava")
    with pytest.raises(UsageError, match="no such file or folder"):
        conformance([tmp_path / "nothing"])


def test_the_command_prints_the_totals_and_fails_on_a_mismatch(recording, written, capsys):
    arrays = recording("tables")
    cli(["conformance", "spinnaker", str(written(arrays))], standalone_mode=False)
    told = " ".join(capsys.readouterr().out.split())
    assert re.search("1 files, 0 nets, 0 neuron-steps, 100 values without a step, 0 mismatches", told)


def test_derived_constants_are_the_chips_own(recording):
    arrays = recording("IFCurrDelta")
    np.testing.assert_array_equal(arrays["R"], divide(arrays["tau_m"], arrays["cm"]))
    assert set(tables.RECORDED) == {"expk_neg", "expulr_neg"}
    assert neurons.RECORDED in arrays

import numpy as np
import pytest

from nmdeploy.errors import DataError, UsageError
from targets.loihi import TARGET
from targets.loihi.conformance.replay import conformance

ALL_FILES = (
    "chain2",
    "conv_dense",
    "conv_extreme",
    "conv_if",
    "delay",
    "dense_if",
    "dense_leaky",
    "extreme",
    "graded",
    "lifreset",
    "sparse",
    "typical",
)


@pytest.mark.shared
@pytest.mark.parametrize("name", ALL_FILES)
def test_every_recording_of_lava_is_reproduced(shared_data, name):
    report = TARGET.conformance([shared_data / "golden" / "loihi" / f"{name}.npz"], "lava")
    assert report.first == []
    assert report.mismatches == 0
    assert report.skipped == []
    assert report.passed


@pytest.mark.shared
@pytest.mark.parametrize("name", ["typical", "extreme"])
def test_the_reference_emulator_reproduces_them_too(shared_data, name):
    report = conformance([shared_data / "golden" / "loihi" / f"{name}.npz"], engine="reference")
    assert (report.mismatches, report.nets) == (0, 34)


@pytest.mark.shared
def test_the_chip_profile_leaves_out_what_leaves_the_common_range(shared_data):
    folder = shared_data / "golden" / "loihi"
    typical = TARGET.conformance([folder / "typical.npz"], "chip")
    assert (typical.profile, typical.nets, typical.skipped, typical.mismatches) == ("chip", 34, [], 0)
    beyond = TARGET.conformance([folder / "conv_extreme.npz"], "chip")
    assert (beyond.nets, len(beyond.skipped), beyond.passed) == (0, 10, False)
    assert beyond.skipped[0].startswith("conv_extreme.npz c000: LOI")


def test_a_hand_made_recording_is_reproduced(recording):
    report = TARGET.conformance([recording()])
    assert (report.files, report.nets, report.neuron_steps, report.mismatches) == (1, 1, 12, 0)
    assert report.profile == "lava"
    assert report.passed


def test_a_mismatch_is_counted_and_located(recording):
    report = TARGET.conformance([recording(l0__weights=np.array([[3, 8], [-5, 60]], dtype=np.int32))])
    assert not report.passed
    first = report.first[0]
    assert (first.file, first.net, first.variable, first.step, first.neuron) == (
        "made.npz",
        "c000",
        "layer 0 u",
        2,
        (1,),
    )
    assert (first.expected, first.found) == (6 * 64, 60 * 64)
    assert "layer 0 u differs first at step 2, neuron (1,): expected 384, got 3840" in str(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": None}, "no key ends in '.meta'"),
        ({"meta": np.array("{")}, "no JSON"),
        ({"meta": np.array('{"T": 6, "layers": []}')}, "needs T and a list of layers"),
        ({"x": np.zeros((2, 5), np.int8)}, r"the input is \[n, T\]"),
        ({"x": None}, "has no 'c000.x'"),
        ({"x": np.zeros((2, 6))}, "holds no integers"),
        ({"l0__weights": None}, "has no 'c000.l0.weights'"),
        ({"l0__weights": np.zeros(3, int)}, "has 2 axes"),
        ({"l0__weights": np.zeros((2, 3), int)}, "cannot be built"),
        ({"l0__u": np.zeros((6, 3), int)}, r"l0.u is not \[T, neurons\]"),
        ({"l0__bias_mant": np.zeros(3, int)}, "not one value a neuron"),
        ({"layer_changes": {"kind": "rnn"}}, "unknown kind of layer"),
        ({"layer_changes": {"kind": "conv"}}, "has no 'stride'"),
        ({"layer_changes": {"kind": "delay"}}, "has no 'c000.l0.delays'"),
        ({"layer_changes": {"vth": "9"}}, "vth cannot be used"),
        ({"layer_changes": {"sign_mode": "any"}}, "sign_mode cannot be used"),
        ({"layer_changes": {"du": 5000}}, "du is 5000"),
    ],
)
def test_a_broken_recording_is_refused(recording, change, message):
    with pytest.raises(DataError, match=message):
        TARGET.conformance([recording(**change)])


def test_files_that_are_no_recording_are_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="not a recording of Lava runs"):
        TARGET.conformance([tmp_path / "foreign.npz"])
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match="torn"):
        TARGET.conformance([tmp_path / "torn.npz"])
    np.savez(tmp_path / "pickled.npz", **{"c000.meta": np.array([{}], dtype=object)})
    with pytest.raises(DataError, match="object"):
        TARGET.conformance([tmp_path / "pickled.npz"])


def test_unknown_profiles_and_paths_are_refused(tmp_path, recording):
    with pytest.raises(UsageError, match="unknown profile"):
        TARGET.conformance([recording()], "nxsdk")
    with pytest.raises(UsageError, match="no such file"):
        TARGET.conformance([tmp_path / "missing.npz"])

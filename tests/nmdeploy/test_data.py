"""Reading samples: layouts, checks before memory is taken, stratified subsets."""

import zipfile

import numpy as np
import pytest

from nmdeploy.data import Samples, as_reals, calibration_and_test, load_samples
from nmdeploy.errors import DataError


@pytest.fixture
def plain(tmp_path, rng):
    path = tmp_path / "plain.npz"
    np.savez(path, x=rng.integers(0, 256, (20, 6, 5), dtype=np.uint8), y=np.arange(20) % 3)
    return path


def test_plain_layout_scales_images_and_adds_the_channel_axis(plain):
    samples = load_samples(plain, shape=(1, 6, 5))
    with np.load(plain) as stored:
        np.testing.assert_array_equal(samples.x[:, 0], (stored["x"] / 255.0).astype(np.float32))
    assert samples.x.dtype == np.float32
    np.testing.assert_array_equal(samples.y, np.arange(20) % 3)
    assert samples.y.dtype == np.int64


def test_split_layout_picks_the_part(tmp_path):
    path = tmp_path / "split.npz"
    np.savez(path, x_train=np.zeros((3, 2)), y_train=[0, 1, 2], x_test=np.ones((2, 2)), y_test=[1, 0])
    assert len(load_samples(path, "train")) == 3
    np.testing.assert_array_equal(load_samples(path, "test").x, np.ones((2, 2), dtype=np.float32))


def test_labels_are_optional(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2)))
    assert load_samples(tmp_path / "x.npz").y is None


def test_compressed_files_are_read(tmp_path, rng):
    x = rng.random((4, 7))
    np.savez_compressed(tmp_path / "x.npz", x=x)
    np.testing.assert_array_equal(load_samples(tmp_path / "x.npz").x, x.astype(np.float32))


def test_flat_samples_are_reshaped(tmp_path, rng):
    np.savez(tmp_path / "x.npz", x=rng.random((4, 30)))
    assert load_samples(tmp_path / "x.npz", shape=(1, 6, 5)).x.shape == (4, 1, 6, 5)


@pytest.mark.parametrize(
    ("arrays", "shape", "words"),
    [
        ({"images": np.zeros((2, 2))}, None, "no array 'x'"),
        ({"x": np.zeros((2, 2)), "y": np.zeros(3, int)}, None, "one integer for each sample"),
        ({"x": np.zeros((2, 2)), "y": np.zeros(2)}, None, "one integer for each sample"),
        ({"x": np.zeros((0, 2))}, None, "no samples"),
        ({"x": np.zeros((2, 2), dtype=complex)}, None, "unsigned integers (images) or reals"),
        ({"x": np.zeros((2, 5, 6))}, (1, 6, 5), "another shape"),
        ({"x": np.zeros((2, 29))}, (1, 6, 5), "another size"),
    ],
)
def test_unusable_contents_are_named(tmp_path, arrays, shape, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=r"bad\.npz|reals") as caught:
        load_samples(tmp_path / "bad.npz", shape=shape)
    assert words in str(caught.value)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="pickled objects are not read"):
        load_samples(tmp_path / "bad.npz")


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        load_samples(tmp_path / "bad.npz")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        load_samples(tmp_path / "missing.npz")


def test_a_torn_file_is_named(plain):
    plain.write_bytes(plain.read_bytes()[:200])
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        load_samples(plain)


def test_an_array_that_declares_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(DataError, match=r"declares more bytes.*8000000000000"):
        load_samples(tmp_path / "bomb.npz")


def test_reals_stay_and_integers_scale_by_their_type():
    np.testing.assert_array_equal(as_reals(np.array([0, 65535], dtype=np.uint16)), np.float32([0, 1]))
    np.testing.assert_array_equal(as_reals(np.array([-0.5, 2.0])), np.float32([-0.5, 2.0]))


def test_stratified_subsets_keep_the_shares_and_pair_inputs_with_labels():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    samples = Samples(labels[:, None].astype(np.float32), labels)
    subset, rest = samples.split(21, seed=3)
    np.testing.assert_array_equal(np.bincount(subset.y), [11, 6, 4])
    np.testing.assert_array_equal(np.bincount(rest.y), [39, 24, 16])
    np.testing.assert_array_equal(subset.x[:, 0], subset.y)
    np.testing.assert_array_equal(rest.x[:, 0], rest.y)
    np.testing.assert_array_equal(subset.y, samples.stratified(21, seed=3).y)
    assert not np.array_equal(subset.y, samples.stratified(21, seed=4).y)


def test_stratifying_needs_labels_and_enough_samples():
    with pytest.raises(DataError, match="no labels"):
        Samples(np.zeros((3, 1), np.float32), None).stratified(1, seed=0)
    with pytest.raises(DataError, match="too few samples"):
        Samples(np.zeros((3, 1), np.float32), np.zeros(3, np.int64)).stratified(4, seed=0)


class TestCalibrationAndTest:
    """No sample serves both; counts and shares are kept."""

    def test_a_file_without_parts_is_divided(self, tmp_path, rng):
        np.savez(tmp_path / "x.npz", x=rng.random((30, 4)), y=np.arange(30) % 3)
        calibration, test = calibration_and_test(tmp_path / "x.npz", (4,), calibration=12, test=100, seed=1)
        np.testing.assert_array_equal(np.bincount(calibration.y), [4, 4, 4])
        np.testing.assert_array_equal(np.bincount(test.y), [6, 6, 6])
        assert not {row.tobytes() for row in calibration.x} & {row.tobytes() for row in test.x}

    def test_calibration_takes_half_at_most(self, tmp_path, rng):
        np.savez(tmp_path / "x.npz", x=rng.random((9, 4)), y=np.zeros(9, int))
        calibration, test = calibration_and_test(tmp_path / "x.npz", (4,), calibration=500, test=500, seed=1)
        assert (len(calibration), len(test)) == (5, 4)

    def test_parts_stay_apart(self, tmp_path, rng):
        train, test = rng.random((8, 4)), rng.random((6, 4))
        np.savez(tmp_path / "x.npz", x_train=train, y_train=np.zeros(8, int), x_test=test, y_test=np.zeros(6, int))
        chosen, tested = calibration_and_test(tmp_path / "x.npz", (4,), calibration=5, test=4, seed=1)
        assert {row.tobytes() for row in chosen.x} < {row.tobytes() for row in train.astype(np.float32)}
        assert {row.tobytes() for row in tested.x} < {row.tobytes() for row in test.astype(np.float32)}

    def test_without_labels_the_first_samples_calibrate(self, tmp_path, rng):
        x = rng.random((8, 4)).astype(np.float32)
        np.savez(tmp_path / "x.npz", x=x)
        calibration, test = calibration_and_test(tmp_path / "x.npz", (4,), calibration=3, test=2, seed=1)
        np.testing.assert_array_equal(calibration.x, x[:3])
        np.testing.assert_array_equal(test.x, x[3:5])
        assert test.y is None

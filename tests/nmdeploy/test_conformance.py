import numpy as np
import pytest

from nmdeploy.conformance import ConformanceReport, vector_files
from nmdeploy.errors import UsageError


def test_nothing_compared_is_no_pass():
    report = ConformanceReport("chip", "chip/exact")
    assert not report.passed
    report.neuron_steps = 4
    assert report.passed
    report.mismatches = 1
    assert not report.passed


def test_a_profile_without_recordings_is_refused():
    assert ConformanceReport.under("toy", None, ("a", "b")).profile == "a"
    assert ConformanceReport.under("toy", "b", ("a", "b")) == ConformanceReport("toy", "b")
    with pytest.raises(UsageError, match=r"toy: unknown profile .*'c'.*a, b.*; nobody ran c"):
        ConformanceReport.under("toy", "c", ("a", "b"), "nobody ran c")


def test_differences_are_counted_and_the_first_is_kept():
    report = ConformanceReport("chip", "chip/exact")
    expected = np.arange(12).reshape(3, 2, 2)
    found = expected.copy()
    found[1, 1, 0], found[2, 0, 0] = 60, 80
    report.compare("f.npz", "net", "v", expected, expected)
    report.compare("f.npz", "net", "v", expected, found)
    report.compare("f.npz", "net", "u", expected, found)
    report.compare("f.npz", "other", "u", expected, found)
    assert report.mismatches == 6
    assert [(m.net, m.variable) for m in report.first] == [("net", "v"), ("other", "u")]
    first = report.first[0]
    assert (first.step, first.neuron, first.expected, first.found) == (1, (1, 0), 6, 60)
    assert str(first) == "f.npz net: v differs first at step 1, neuron (1, 0): expected 6, got 60"


def test_values_without_a_step_are_counted_apart():
    report = ConformanceReport("chip", "exact")
    report.compare_values("f.json", "net", "table", np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3))
    assert (report.values, report.neuron_steps, report.passed) == (6, 0, True)
    report.compare_values("f.json", "net", "table", np.array([1, 2, 3]), np.array([1, 5, 4]))
    assert (report.values, report.mismatches, report.passed) == (9, 2, False)
    assert str(report.first[0]) == "f.json net: table differs first at index (1,): expected 2, got 5"


def test_values_of_another_number_are_all_mismatches():
    report = ConformanceReport("chip", "exact")
    report.compare_values("f.json", "a", "table", np.array([1, 2, 3]), np.array([1, 2]))
    report.compare_values("f.json", "b", "table", np.array([1]), None)
    report.compare_values("f.json", "c", "table", np.zeros(0), np.array([4, 5]))
    assert (report.values, report.mismatches) == (4, 3 + 1 + 1)
    assert [str(m).split(": ", 1)[1] for m in report.first] == [
        "number of table differs first at index (): expected 3, got 2",
        "number of table differs first at index (): expected 1, got 0",
        "number of table differs first at index (): expected 0, got 2",
    ]


def test_other_shapes_are_no_mismatch_but_an_error():
    report = ConformanceReport("chip", "chip/exact")
    with pytest.raises(UsageError, match="net: v: shapes differ"):
        report.compare("f.npz", "net", "v", np.zeros((3, 2)), np.zeros((3, 1)))


def test_folders_give_their_vector_files_in_order(tmp_path):
    for name in ("b.npz", "a.npz", "notes.md"):
        (tmp_path / name).touch()
    assert [path.name for path in vector_files([tmp_path], ".npz")] == ["a.npz", "b.npz"]
    assert vector_files([tmp_path / "notes.md"], ".npz") == [tmp_path / "notes.md"]


def test_missing_paths_and_empty_folders_are_told(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        vector_files([tmp_path / "none"], ".npz")
    with pytest.raises(UsageError, match=r"no \.npz files there"):
        vector_files([tmp_path], ".npz")

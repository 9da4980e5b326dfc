"""Running a graph: batches, kept results, memory, and what is refused."""

import numpy as np
import pytest

from nmdeploy.ann import execute
from nmdeploy.ann.execute import iterate, run
from nmdeploy.ann.graph import Add, AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape


@pytest.fixture
def graph():
    """x (1, 1, 4) -> conv -> relu -> flat -> sum of two branches."""
    kernel = np.array([[[[1, 2]]], [[[-1, 0.5]]]], np.float32)
    nodes = (
        Node("x", Source((1, 1, 4))),
        Node("conv", Linear(Conv2d(kernel), np.array([[[1]], [[0]]], np.float32)), ("x",)),
        Node("relu", Rectify(), ("conv",)),
        Node("flat", Linear(Reshape((6,))), ("relu",)),
        Node("double", Linear(OneToOne(np.array([2], np.float32))), ("flat",)),
        Node("sum", Add(), ("flat", "double")),
    )
    return AnnGraph("net", nodes, "sum")


@pytest.fixture
def two_inputs():
    fc = Linear(Dense(np.eye(2, dtype=np.float32)))
    nodes = (Node("a", Source((2,))), Node("b", Source((2,))), Node("fc", fc, ("b",)), Node("sum", Add(), ("a", "fc")))
    return AnnGraph("net", nodes, "sum")


def by_hand(samples):
    first = 1 + samples[:, :-1] + 2 * samples[:, 1:]
    second = -samples[:, :-1] + 0.5 * samples[:, 1:]
    return 3 * np.maximum(np.concatenate([first, second], axis=1), 0)


@pytest.mark.parametrize("batch", [None, 1, 2, 5, 100])
def test_results_do_not_depend_on_the_batch(graph, rng, batch):
    samples = rng.normal(size=(5, 1, 1, 4)).astype(np.float32)
    out = run(graph, samples, batch=batch)
    assert list(out) == ["sum"]
    assert out["sum"].dtype == np.float32
    np.testing.assert_allclose(out["sum"], by_hand(samples[:, 0, 0]), rtol=1e-6, atol=1e-6)


def test_one_dimensional_samples_need_no_height(graph, rng):
    samples = rng.integers(0, 255, size=(3, 1, 4), dtype=np.uint8)
    np.testing.assert_array_equal(run(graph, samples)["sum"], run(graph, samples[:, :, None, :])["sum"])


def test_kept_results_are_those_of_the_nodes(graph, rng):
    samples = rng.normal(size=(4, 1, 1, 4))
    kept = run(graph, samples, ["x", "relu", "sum"], batch=3)
    assert list(kept) == ["x", "relu", "sum"]
    np.testing.assert_array_equal(kept["x"], samples.astype(np.float32))
    np.testing.assert_array_equal(kept["relu"].reshape(4, 6) * 3, kept["sum"])


def test_the_iterator_gives_one_batch_after_the_other(graph, rng):
    samples = rng.normal(size=(5, 1, 1, 4))
    sizes = [len(part["relu"]) for part in iterate(graph, samples, ["relu"], batch=2)]
    assert sizes == [2, 2, 1]


def test_intermediate_results_are_released_at_their_last_use(graph):
    assert execute._released_after(graph, ("sum",)) == {
        "x": [],
        "conv": ["x"],
        "relu": ["conv"],
        "flat": ["relu"],
        "double": [],
        "sum": ["flat", "double"],
    }
    assert execute._released_after(graph, ("relu", "sum"))["flat"] == []


def test_the_batch_keeps_live_results_within_bounds(graph, monkeypatch):
    largest_live = 3 * 6  # flat, double and sum live together
    monkeypatch.setattr(execute, "_LIVE_BYTES", 10 * 4 * largest_live)
    assert execute._batch_size(graph, ("sum",)) == 10
    monkeypatch.setattr(execute, "_LIVE_BYTES", 1)
    assert execute._batch_size(graph, ("sum",)) == 1
    monkeypatch.undo()
    assert execute._batch_size(graph, ("sum",)) == execute._LARGEST_BATCH


def test_the_batch_follows_the_widest_place(monkeypatch):
    widen, narrow = (Linear(Dense(np.zeros(shape, np.float32))) for shape in ((10, 2), (1, 10)))
    nodes = (Node("x", Source((2,))), Node("wide", widen, ("x",)), Node("out", narrow, ("wide",)))
    monkeypatch.setattr(execute, "_LIVE_BYTES", 7 * 4 * 12)  # x and wide live together
    assert execute._batch_size(AnnGraph("net", nodes, "out"), ("out",)) == 7


def test_several_inputs_are_given_by_name(two_inputs):
    out = run(two_inputs, {"b": np.ones((3, 2)), "a": np.full((3, 2), 2)})
    np.testing.assert_array_equal(out["sum"], np.full((3, 2), 3))


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (np.zeros((2, 1, 1, 5)), ShapeError, r"input 'x': .*found \(2, 1, 1, 5\), limit \(N, 1, 1, 4\)"),
        (np.zeros((1, 1, 4)).reshape(1, 4), ShapeError, "samples do not fit the input"),
        (np.zeros((1, 1, 4))[0, 0, 0], ShapeError, "samples do not fit the input"),
        (np.zeros((0, 1, 1, 4)), DataError, "no samples"),
        (np.array([["a"]]), DataError, "real numbers"),
        ({"y": np.zeros((1, 1, 1, 4))}, DataError, r"samples and inputs differ \(found \['y'\], limit \['x'\]"),
    ],
)
def test_samples_that_cannot_be_used_are_told(graph, samples, error, message):
    with pytest.raises(error, match=message):
        run(graph, samples)


def test_a_single_sample_without_its_axis_is_told():
    graph = AnnGraph("net", (Node("x", Source((2, 3, 4))),), "x")
    with pytest.raises(ShapeError, match="put a sample axis in front"):
        run(graph, np.zeros((2, 3, 4)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_the_sample_with_nan_or_infinity_is_named(graph, value):
    samples = np.zeros((5, 1, 1, 4))
    samples[3, 0, 0, 2] = value
    with pytest.raises(DataError, match=r"input 'x': samples hold NaN or infinity \(found sample 3\)"):
        run(graph, samples, batch=2)


def test_inputs_must_be_complete_and_of_equal_length(two_inputs):
    with pytest.raises(DataError, match=r"several inputs; give a mapping of \['a', 'b'\]"):
        run(two_inputs, np.zeros((1, 2)))
    with pytest.raises(DataError, match="different numbers of samples"):
        run(two_inputs, {"a": np.zeros((1, 2)), "b": np.zeros((2, 2))})


def test_options_that_make_no_sense_are_told(graph):
    with pytest.raises(UsageError, match="no such node"):
        run(graph, np.zeros((1, 1, 4)), ["nothing"])
    with pytest.raises(UsageError, match="at least one sample"):
        run(graph, np.zeros((1, 1, 4)), batch=0)

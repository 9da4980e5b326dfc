import numpy as np
import pytest
from numpy.testing import assert_allclose

from nmdeploy.ann.execute import run
from nmdeploy.ann.graph import Linear, Rectify
from nmdeploy.convert.normalize import Normalization, find_scales
from nmdeploy.convert.statistics import RESOLUTION
from nmdeploy.convert.terms import pre_activations
from nmdeploy.errors import ModelError, UsageError
from nmdeploy.synapses import Conv2d, Dense, OneToOne, SumPool2d


def scales_of(graph, samples, width=1.0, **options):
    return find_scales(graph, pre_activations(graph), Normalization(**options), samples, width)


def test_the_percentile_is_that_of_all_rectified_activations(digits_like, rng):
    samples = rng.random((40, 1, 8, 8))
    kept = run(digits_like, samples, ["relu", "fc"])
    found = scales_of(digits_like, samples, percentile=97.0)
    for node in ("relu", "fc"):
        exact = np.percentile(np.maximum(kept[node], 0), 97, method="inverted_cdf")
        assert exact <= found[node].value <= exact * (1 + RESOLUTION)
        assert found[node].remark == ""


def test_max_is_the_largest_activation(digits_like, rng):
    samples = rng.random((40, 1, 8, 8))
    found = scales_of(digits_like, samples, method="max")
    assert found["relu"].value == np.float32(run(digits_like, samples, ["relu"])["relu"].max())


def test_model_is_the_largest_activation_that_the_weights_allow(chain_of):
    graph = chain_of(
        (1, 2, 2),
        conv=Linear(Conv2d(np.array([[[[2.0, -1.0]]], [[[0.5, 0.25]]]])), np.array([[[-0.5]], [[1.0]]])),
        relu=Rectify(),
        pool=Linear(SumPool2d((2, 1))),
        scale=Linear(OneToOne(np.array([[[1.0]], [[-1.0]]])), np.array([[[0.0]], [[7.0]]])),
        relu_2=Rectify(),
    )
    # Input 0..3: channel 0 reaches 2*3 - 0.5 = 5.5, channel 1 (0.5 + 0.25)*3 + 1 = 3.25.
    # Two pooled positions at lambda 5.5: channel 0 reaches 11, channel 1 its bias 7.
    found = scales_of(graph, np.zeros((1, 1, 2, 2)), width=3.0, method="model")
    assert found["relu"].value == 5.5
    assert found["relu_2"].value == 11.0


def test_model_is_never_below_what_data_shows(digits_like, branched, rng):
    for graph in (digits_like, branched):
        samples = rng.random((30, *graph.shapes["x"]))
        bound, seen = (scales_of(graph, samples, method=method) for method in ("model", "max"))
        assert all(bound[node].value >= seen[node].value for node in seen)


def test_fixed_is_the_factor_for_every_layer(branched, rng):
    found = scales_of(branched, rng.random((2, 2, 6, 6)), method="fixed", factor=3.5)
    assert {node: scale.value for node, scale in found.items()} == {"relu1": 3.5, "relu2": 0.8, "relu3": 3.5}


@pytest.mark.parametrize("method", ["percentile", "max", "model"])
def test_a_bounded_relu_never_gets_more_than_its_bound(branched, rng, method):
    samples = 40 * rng.random((10, 2, 6, 6))
    assert scales_of(branched, samples, width=40.0, method=method, percentile=100)["relu2"].value == 0.8


def test_model_passes_the_bound_on(chain_of):
    graph = chain_of((1,), relu=Rectify(2.0), fc=Linear(Dense(np.array([[3.0]]))), relu_2=Rectify())
    assert scales_of(graph, np.zeros((1, 1)), width=9.0, method="model")["relu_2"].value == 6.0


def test_bounds_are_the_upper_ends_of_the_activations(chain_of, rng):
    graph = chain_of((3,), relu6=Rectify(6.0), fc=Linear(Dense(np.ones((2, 3)))), hardtanh=Rectify(0.25))
    found = scales_of(graph, rng.random((5, 3)), method="bounds")
    assert {node: scale.value for node, scale in found.items()} == {"relu6": 6.0, "hardtanh": 0.25}


def test_every_activation_without_an_upper_end_is_named(branched, rng):
    with pytest.raises(ModelError, match=r"^relu1, relu3: normalization 'bounds' .*nn\.Hardtanh\(0, bound\)"):
        scales_of(branched, rng.random((2, 2, 6, 6)), method="bounds")


def test_a_silent_layer_has_scale_one_and_is_reported(chain_of, rng):
    graph = chain_of((3,), fc=Linear(Dense(-np.ones((2, 3)))), relu=Rectify(), fc2=Linear(Dense(np.ones((1, 2)))))
    data, model = (scales_of(graph, rng.random((5, 3)), method=method) for method in ("max", "model"))
    assert data["relu"].value == model["relu"].value == 1.0
    assert "never active on the calibration data" in data["relu"].remark
    assert "can never be active" in model["relu"].remark


def test_a_layer_that_is_mostly_silent_is_scaled_by_its_largest(chain_of):
    samples = np.zeros((100, 1))
    samples[7] = 0.5
    found = scales_of(chain_of((1,), relu=Rectify()), samples, percentile=90.0)["relu"]
    assert found.value == 0.5
    assert "90 % of its activations" in found.remark


def test_activations_that_overflow_are_refused(chain_of):
    graph = chain_of((1,), fc=Linear(Dense(np.array([[3e38]]))), fc2=Linear(Dense(np.array([[9.0]]))), relu=Rectify())
    with pytest.raises(ModelError, match=r"relu: activations .* are not finite"):
        scales_of(graph, np.ones((1, 1), dtype=np.float32))


def test_progress_is_told_and_the_batches_add_up(digits_like, rng):
    told = []
    samples = rng.random((1500, 1, 8, 8))
    layers = pre_activations(digits_like)
    find_scales(digits_like, layers, Normalization(), samples, 1.0, lambda done, total: told.append((done, total)))
    assert told[-1] == (1500, 1500)
    assert len(told) > 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "best"}, "unknown normalization .found 'best', limit percentile, max, model, fixed, bounds"),
        ({"percentile": 0.0}, "above 0 and at most 100"),
        ({"percentile": 100.1}, "above 0 and at most 100"),
        ({"method": "fixed"}, "needs factor="),
        ({"method": "fixed", "factor": 0.0}, "factor must be above 0"),
        ({"method": "fixed", "factor": -1.0}, "factor must be above 0"),
        ({"method": "fixed", "factor": float("nan")}, "factor must be above 0"),
        ({"factor": 2.0}, "goes with normalization 'fixed' only"),
    ],
)
def test_senseless_options_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Normalization(**options)


def test_the_source_scale_enters_the_model_bound(chain_of):
    graph = chain_of((2,), fc=Linear(Dense(np.array([[1.0, 2.0]])), np.array([0.5])), relu=Rectify())
    values = [scales_of(graph, np.zeros((1, 2)), width=w, method="model")["relu"].value for w in (1.0, 4.0)]
    assert_allclose(values, [3.5, 12.5])

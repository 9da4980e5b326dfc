"""Example inputs of emitted folders."""

import numpy as np

from nmdeploy.bundle import make_vectors
from nmdeploy.example import EXAMPLE_STEPS, example_arrays, example_vectors


def test_test_vectors_are_the_example(deployment):
    assert example_vectors(deployment) is deployment.vectors


def test_without_vectors_an_example_is_made(deployment):
    made = example_vectors(deployment.with_(vectors=None, steps=0))
    assert made.inputs["in"].shape == (EXAMPLE_STEPS, 1, 1, 6, 6)
    assert 0 < made.inputs["in"].mean() < 0.3
    again = make_vectors(deployment, made.inputs).vectors
    np.testing.assert_array_equal(made.spikes["out"], again.spikes["out"])
    assert len(example_vectors(deployment.with_(vectors=None, steps=4)).inputs["in"]) == 4


def test_a_scripts_arrays_have_its_own_names(deployment):
    keys = {population.name: f"{population.name}_2" for population in deployment.network.populations}
    found = example_arrays(deployment, keys)
    assert found.keys() == {"in_2", "out_2.expected"}
    np.testing.assert_array_equal(found["in_2"], deployment.vectors.inputs["in"])
    np.testing.assert_array_equal(found["out_2.expected"], deployment.vectors.spikes["out"])

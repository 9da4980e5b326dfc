import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.convert.integers import to_integers
from nmdeploy.deployment import deploy
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape
from targets.spinnaker import TARGET
from targets.spinnaker.ring_load import ring_bounds


def float_net(rng):
    populations = (
        Population("in", (1, 6, 6)),
        Population("conv", (2, 6, 6), IF(1.0, rng.normal(0, 0.1, (2, 1, 1)), reset="zero", v_min=None)),
        Population("out", (4,), Integrator(rng.normal(0, 0.1, 4))),
    )
    projections = (
        Projection("in", "conv", (Conv2d(rng.normal(0, 0.4, (2, 1, 3, 3)), padding=(1, 1, 1, 1)),)),
        Projection(
            "conv",
            "out",
            (Reshape((72,)), Dense(rng.normal(0, 1, (4, 72)))),
        ),
    )
    return Network("float", populations, projections)


@pytest.mark.parametrize("profile", ["chip", "conv"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_integers_of_any_network_are_exact_and_cannot_saturate(spin5, profile, seed):
    network = to_integers(float_net(np.random.Generator(np.random.PCG64(seed))), TARGET.precision(spin5, profile))
    deployment = deploy(network, f"spin5/{profile}")
    assert not {"SPI005", "SPI006", "SPI014"} & {remark.code for remark in deployment.remarks}
    for name in ("conv", "out"):
        largest = max(int(sums.max()) for sums in ring_bounds(deployment.network, name))
        assert largest <= 65535
        # Weights take all the room that there is; under `conv` the threshold may need some of it.
        assert largest >= 0.99 * 65535 or profile == "conv"


def test_thresholds_of_the_conv_profile_stay_in_the_leakless_band(spin5, rng):
    network = to_integers(float_net(rng), TARGET.precision(spin5, "conv"))
    assert network["conv"].neuron.threshold.max() <= 16383
    assert TARGET.precision(spin5, "chip").threshold.bits == 30


def test_every_channel_has_its_own_scale(spin5, rng):
    network = to_integers(float_net(rng), TARGET.precision(spin5, "chip"))
    assert network["conv"].potential_scale.shape == (2, 1, 1)
    assert network["out"].potential_scale.shape == (4,)


def test_only_reset_to_a_value(spin5):
    assert TARGET.precision(spin5).resets == ("zero",)

import numpy as np
import pytest

from nmdeploy.emulator.run import emulate


@pytest.mark.parametrize("mean", [0.01, 0.1, 0.6])
def test_images_are_brought_to_a_mean(mean):
    from benchmarks.activity import bernoulli, made_images, of_mean

    images = of_mean(made_images((1, 12, 12), 20), mean)
    assert images.mean() == pytest.approx(mean)
    assert images.min() >= 0
    assert images.max() <= 1
    spikes = bernoulli(images, 50)
    assert spikes.shape == (50, 20, 1, 12, 12)
    assert spikes.mean() == pytest.approx(mean, rel=0.1)


@pytest.mark.parametrize("activity", [0.02, 0.2, 0.5])
def test_every_layer_gets_the_asked_activity(activity):
    from benchmarks.activity import bernoulli, made_images, of_mean, with_activity
    from benchmarks.networks import dense_network

    plain = dense_network(sizes=(64, 80, 40))
    spikes = bernoulli(of_mean(made_images((64,), 8), activity), 40)
    network = with_activity(plain, spikes, activity)
    result = emulate(network, spikes)
    for population in network.populations:
        rate = result.total_spikes[population.name].sum() / (population.size * result.steps * result.samples)
        assert rate == pytest.approx(activity, rel=0.15), population.name
    # Half of the neurons of random weights are driven down: such a rate needs a bias.
    assert any(np.any(p.neuron.bias) for p in network.populations[1:]) == (activity == 0.5)

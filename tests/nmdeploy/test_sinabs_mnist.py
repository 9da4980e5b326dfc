"""A trained network on real images: what 8-bit weights cost against the same network in float spikes."""

import numpy as np
import pytest

from nmdeploy.coding import Bernoulli
from nmdeploy.data import load_samples
from nmdeploy.inference import infer

STEPS = 100
SAMPLES = 1000


def sinabs_net(shared_data):
    torch = pytest.importorskip("torch")
    from torch import nn

    def block(before, after, kernel):
        return [nn.Conv2d(before, after, kernel, bias=False), nn.ReLU(), nn.AvgPool2d(2)]

    model = nn.Sequential(
        *block(1, 20, 5),
        *block(20, 32, 5),
        *block(32, 128, 3),
        nn.Flatten(),
        nn.Linear(128, 500, bias=False),
        nn.ReLU(),
        nn.Linear(500, 10, bias=False),
    )
    path = shared_data / "models" / "sinabs_mnist_cnn.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return model.eval()


@pytest.mark.slow
@pytest.mark.shared
def test_eight_bits_lose_at_most_two_of_a_thousand_images(shared_data, record_property):
    import nmdeploy as nm

    data = shared_data / "data" / "mnist.npz"
    train = load_samples(data, "train", (1, 28, 28)).stratified(500, seed=1)
    test = load_samples(data, "test", (1, 28, 28)).stratified(SAMPLES, seed=1)
    spiking = nm.to_spiking(nm.from_torch(sinabs_net(shared_data), train.x[:1]), train.x)
    integers = nm.to_integers(spiking, nm.chip("loihi1").precision)
    right = {}
    for name, network in (("float", spiking), ("int8", integers)):
        outcome = infer(network, test.x, encoder=Bernoulli(seed=1), steps=STEPS)
        right[name] = int(np.sum((outcome.decision.labels == test.y) & ~outcome.decision.tied))
    record_property("right", right)
    assert right["float"] > 0.95 * SAMPLES
    assert abs(right["int8"] - right["float"]) <= 0.002 * SAMPLES, right

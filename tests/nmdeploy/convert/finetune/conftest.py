"""Digits, small networks trained on them, and loaders."""

import numpy as np
import pytest

from nmdeploy.data import Samples
from nmdeploy.demo.digits import load_digits
from nmdeploy.demo.model import seeded_cnn, train


def residual_kind():
    """The class of the residual network; made here since the other tests run without torch."""
    from torch import nn
    from torch.nn import functional as F

    class Residual(nn.Module):
        """Functional and repeated ReLUs, batch norms with and without one behind, a shortcut, an average pool."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(1, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)
            self.block = Block()
            self.drop = nn.Dropout(0.1)
            self.fc = nn.Linear(8 * 16, 10)

        def forward(self, x):
            x = F.relu(self.norm(self.stem(x)))
            x = self.block(x)
            return self.fc(self.drop(F.avg_pool2d(x, 2).flatten(1)))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
            self.norm1 = nn.BatchNorm2d(8)
            self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
            self.norm2 = nn.BatchNorm2d(8)
            self.act = nn.ReLU()

        def forward(self, x):
            y = self.act(self.norm1(self.conv1(x)))
            return self.act(x + self.norm2(self.conv2(y)))

    return Residual


def seeded(kind, *arguments):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(*arguments)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks: a second thread costs more than it brings."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits():
    """(800 training, 360 test) samples."""
    training, test = load_digits(seed=0)
    return training.first(800), test


@pytest.fixture(scope="session")
def cnn(digits):
    """Two blocks of convolution, batch norm, ReLU and average pool, trained; not to be changed."""
    model = seeded_cnn(side=8, classes=10, seed=0)
    train(model, digits[0], epochs=3, seed=0)
    return model


@pytest.fixture(scope="session")
def residual(digits):
    """A trained residual network; not to be changed."""
    model = seeded(residual_kind())
    train(model, digits[0], epochs=3, seed=0)
    return model


@pytest.fixture
def mlp():
    """64-12-10, not trained."""
    from torch import nn

    return seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)))


@pytest.fixture(scope="session")
def loader(digits):
    """Makes shuffled batches of the first training samples."""
    import torch

    def make(count=None, batch=64):
        part: Samples = digits[0].first(count)
        data = torch.utils.data.TensorDataset(torch.from_numpy(part.x), torch.from_numpy(part.y))
        return torch.utils.data.DataLoader(data, batch, shuffle=True)

    return make


@pytest.fixture(scope="session")
def accuracy():
    """Share of samples that a module classifies."""
    import torch

    def of(module, samples):
        with torch.no_grad():
            scores = module(torch.from_numpy(samples.x))
        return float(np.mean(scores.argmax(1).numpy() == samples.y))

    return of

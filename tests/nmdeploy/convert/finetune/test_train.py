"""The loop: what it learns, what it tells, how it ends."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from nmdeploy.convert.finetune import finetune  # noqa: E402
from nmdeploy.errors import DataError, ModelError, UsageError  # noqa: E402


def weights(tuned):
    return [value.detach().numpy() for value in tuned.model.state_dict().values()]


def test_fine_tuning_repairs_what_quantizing_breaks(cnn, loader, digits, accuracy):
    broken = finetune(cnn, loader(), levels=1, weight_bits=3, epochs=0)
    tuned = finetune(cnn, loader(), levels=1, weight_bits=3, epochs=3)
    before, after = (accuracy(each.prepared, digits[1]) for each in (broken, tuned))
    assert after > 0.88 > 0.82 > before
    assert broken.history == ()
    assert [epoch.loss for epoch in tuned.history] == sorted((epoch.loss for epoch in tuned.history), reverse=True)
    assert 0.8 < tuned.history[-1].accuracy <= 1
    assert broken.bounds != tuned.bounds


def test_the_same_seed_gives_the_same_network(residual, loader):
    """Shuffling and dropout come from the seed; the global generator and the model stay as they were."""
    state, given = torch.random.get_rng_state(), copy.deepcopy(residual.state_dict())
    first, same, other = (finetune(residual, loader(200), epochs=1, seed=seed) for seed in (1, 1, 2))
    assert_array_equal(torch.random.get_rng_state(), state)
    for a, b in zip(weights(first), weights(same), strict=True):
        assert_array_equal(a, b)
    assert first.bounds == same.bounds
    assert first.history == same.history
    assert any(not np.array_equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))
    for name, value in residual.state_dict().items():
        assert_array_equal(value, given[name])


def test_progress_counts_batches(mlp, loader):
    told = []
    finetune(mlp, loader(100, 30), epochs=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)]


def test_an_interrupt_passes_through_and_leaves_the_model_alone(mlp, loader):
    before = copy.deepcopy(mlp.state_dict())
    state = torch.random.get_rng_state()

    def interrupt(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(mlp, loader(100, 30), progress=interrupt)
    for name, value in mlp.state_dict().items():
        assert_array_equal(value, before[name])
    assert mlp.training
    assert_array_equal(torch.random.get_rng_state(), state)


def test_a_loss_of_ones_own(mlp, loader):
    seen = []

    def loss(scores, labels):
        seen.append(labels)
        return nn.functional.multi_margin_loss(scores, labels)

    tuned = finetune(mlp, loader(100, 50), epochs=1, loss=loss)
    assert len(seen) == 2
    assert 0 < tuned.history[0].loss < 1.2  # below the margin: a cross-entropy would begin at ln(10)


def test_a_frozen_layer_stays_as_it_is(mlp, loader):
    mlp[1].requires_grad_(False)
    tuned, still = (finetune(mlp, loader(100), epochs=epochs) for epochs in (1, 0))
    assert_array_equal(tuned.model.get_parameter("1.weight").detach(), still.model.get_parameter("1.weight").detach())
    assert not np.array_equal(*(each.model.get_parameter("3.weight").detach() for each in (tuned, still)))


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"takes an nn\.Module .found str"):
        finetune("net.pt", [(X, Y)])


X, Y = torch.rand(8, 1, 8, 8), torch.arange(8)


class Once(list):
    """A loader that can be gone through twice only: for the calibration and one epoch."""

    left = 2

    def __iter__(self):
        self.left -= 1
        return super().__iter__() if self.left >= 0 else iter(())


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ([X], "batch 0: a batch is a pair of inputs and labels .found Tensor"),
        ([(X,)], "batch 0: a batch is a pair of inputs and labels .found tuple"),
        ([(X, Y), (X, Y[:5])], "epoch 1, batch 1: .*found int64 .5,., limit .8,."),
        ([(X, Y + 3)], r"epoch 1, batch 0: labels beyond the network's outputs .found 3\.\.10, limit 0\.\.9"),
        ([(X, Y - 1)], r"labels beyond the network's outputs .found -1\.\.6"),
        ([(X, Y.float())], "labels are one integer for each sample .found float32"),
        ([(X, Y[:, None])], "labels are one integer for each sample"),
        ([], "the loader holds no batches"),
        (Once([(X, Y)]), "epoch 2: the loader is exhausted"),
    ],
)
def test_loaders_that_cannot_be_used(mlp, loader, words):
    with pytest.raises(DataError, match=words):
        finetune(mlp, loader)


def test_a_loader_needs_a_length(mlp):
    with pytest.raises(UsageError, match=r"the loader has no length .found generator"):
        finetune(mlp, ((X, Y) for _ in range(3)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": -1}, "epochs: there are no fewer than 0 epochs .found -1"),
        ({"lr": 0.0}, "lr: a learning rate is above 0"),
        ({"lr": float("nan")}, "lr: a learning rate is above 0"),
        ({"weight_bits": 16}, "weight_bits"),
    ],
)
def test_senseless_options_are_refused(mlp, options, words):
    with pytest.raises(UsageError, match=words):
        finetune(mlp, [(X, Y)], **options)


def test_a_diverging_training_is_told(mlp):
    with pytest.raises(ModelError, match="epoch 1: the loss is not finite"):
        finetune(mlp, [(X, Y)] * 4, loss=lambda scores, labels: scores.sum() * float("inf"))

"""Training on a chip as a whole: what it promises, and what it refuses."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from plain_chip import PlainTarget, plain_chip

import nmdeploy
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.surrogate import Epoch, train_on_chip
from nmdeploy.convert.surrogate.trained import best
from nmdeploy.data import Samples
from nmdeploy.errors import DataError, FitError, MissingDependency, NetworkError, ShapeError, UsageError
from nmdeploy.inference import default_readout, infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d
from nmdeploy.target import Violation

STEPS = 6


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def disturbed(rng):
    """A network whose weights are off by half of what they are, so that there is something to train."""

    def disturb(network):
        def off(projection):
            chain = tuple(
                each if each.weight is None else each.with_weight(noisy(each.weight)) for each in projection.synapses
            )
            return replace(projection, synapses=chain)

        def noisy(weight):
            return (weight + rng.normal(size=weight.shape) * weight.std() / 2).astype(np.float32)

        return replace(network, projections=tuple(map(off, network.projections)))

    return disturb


def on_chip(network, chip, samples):
    """Share of samples that the deployed network decides rightly."""
    deployment = nmdeploy.deploy(to_integers(network, chip.precision), chip, encoder=DeterministicRate(), steps=STEPS)
    readout = default_readout(network)
    return infer(deployment, samples.x, readout=readout).decision.accuracy(samples.y)


def arrays(network):
    """Everything that training changes."""
    found = [each.weight for projection in network.projections for each in projection.synapses]
    return [np.asarray(each) for each in (*found, *(p.neuron.bias for p in network.populations[1:]))]


@pytest.mark.parametrize(
    ("name", "readout", "epochs", "lr"),
    [
        ("loihi1", "potential", 5, 0.05),
        ("loihi2/subtract", "count", 5, 0.05),
        ("spinnaker", "potential", 5, 0.05),
        # Without biases it is harder.
        pytest.param("speck2f", "count", 12, 0.1, marks=pytest.mark.slow),
    ],
)
def test_a_disturbed_network_learns_on_the_chip(
    torch, digits_like, taught, disturbed, without_biases, name, readout, epochs, lr
):
    chip = nmdeploy.chip(name)
    network = to_spiking(digits_like, taught.x, readout=readout, reset=chip.precision.resets[0])
    network = disturbed(network if chip.precision.bias is not None else without_biases(network))
    trained = train_on_chip(network, taught, chip, steps=STEPS, epochs=epochs, batch=30, lr=lr, held_out=0.25)
    assert (trained.trained_on, trained.held_out) == (180, 60)
    assert [epoch.number for epoch in trained.history] == list(range(epochs + 1))
    assert trained.history[0].loss is None
    before, after = trained.history[0], trained.history[trained.kept]
    assert trained.kept > 0
    no_worse = [epoch for epoch in trained.history if epoch.held_out_accuracy >= before.held_out_accuracy]
    assert after.held_out_loss == min(epoch.held_out_loss for epoch in no_worse)
    assert after.held_out_accuracy > before.held_out_accuracy + 0.1
    assert after.held_out_loss < before.held_out_loss
    assert trained.history[-1].loss < trained.history[1].loss
    assert on_chip(trained.network, chip, taught) > on_chip(network, chip, taught) + 0.1
    assert trained.network.notes[:-1] == network.notes
    shares = [f"{epoch.held_out_accuracy:.2%}" for epoch in (after, before)]
    assert trained.network.notes[-1] == (
        f"trained on {chip.name} for 6 steps with 180 samples; epoch {trained.kept} of {epochs} was the best on 60 "
        f"samples held out: {shares[0]} right, before training {shares[1]} (emulated)"
    )


def test_what_the_history_says_of_held_out_samples_is_what_the_deployment_does(torch, spiking, taught, loihi):
    """The samples held out are those of `Samples.split` with the same seed."""
    trained = train_on_chip(spiking, taught, loihi, steps=STEPS, epochs=2, batch=90, seed=3, held_out=0.25)
    held, _ = taught.split(60, 3)
    assert on_chip(spiking, loihi, held) == trained.history[0].held_out_accuracy
    assert on_chip(trained.network, loihi, held) == trained.history[trained.kept].held_out_accuracy


def test_the_same_seed_gives_the_same_network(torch, spiking, taught, loihi):
    state = torch.random.get_rng_state()

    def trained(seed):
        found = train_on_chip(spiking, taught, loihi, steps=STEPS, batch=54, seed=seed, lr=0.05)
        assert found.kept == 1
        return arrays(found.network)

    first, again, other = trained(1), trained(1), trained(2)
    assert all(np.array_equal(left, right) for left, right in zip(first, again, strict=True))
    assert not all(np.array_equal(left, right) for left, right in zip(first, other, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_training_that_does_harm_is_not_kept(torch, spiking, taught, loihi):
    trained = train_on_chip(spiking, taught, loihi, steps=STEPS, batch=54, lr=30.0)
    assert trained.history[1].held_out_loss > trained.history[0].held_out_loss
    assert trained.kept == 0
    for left, right in zip(arrays(trained.network), arrays(spiking), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("held_out", "kept"),
    [
        ([(0.5, 0.9), (0.4, 0.9), (0.3, 0.92)], 2),
        ([(0.5, 0.9), (0.3, 0.89), (0.4, 0.9)], 2),  # the lowest loss decides fewer rightly than before
        ([(0.5, 0.9), (0.6, 0.95)], 0),
        ([(0.5, 0.9), (0.5, 0.95)], 0),
    ],
)
def test_the_lowest_loss_without_less_accuracy_is_kept(held_out, kept):
    history = [Epoch(number, None, *pair) for number, pair in enumerate(held_out)]
    assert best(history) == kept


def test_thresholds_starts_and_delays_stay(torch, spiking, taught, loihi):
    started = replace(
        spiking,
        populations=tuple(
            replace(each, neuron=replace(each.neuron, v_init=0.25)) if each.name == "conv" else each
            for each in spiking.populations
        ),
        projections=tuple(replace(each, delay=1) for each in spiking.projections),
    )
    trained = train_on_chip(started, taught, loihi, steps=STEPS, batch=108, lr=0.05).network
    for name in ("threshold", "v_init", "reset"):
        assert getattr(trained["conv"].neuron, name) == getattr(started["conv"].neuron, name)
    assert [each.delay for each in trained.projections] == [1, 1]


def test_progress_counts_all_samples_and_an_interrupt_harms_nothing(torch, spiking, taught, loihi):
    told = []
    before = [each.copy() for each in arrays(spiking)]
    train_on_chip(spiking, taught, loihi, steps=2, epochs=2, batch=54, progress=lambda *pair: told.append(pair))
    assert {total for _, total in told} == {2 * 216 + 3 * 24}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1]

    def interrupt(done, _total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_on_chip(spiking, taught, loihi, steps=2, batch=54, progress=interrupt)
    for left, right in zip(arrays(spiking), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_every_batch_is_quantized_as_asked(torch, spiking, taught, loihi):
    seen = []

    def quantize(network):
        seen.append(network)
        return to_integers(network, loihi.precision, per_channel=True)

    train_on_chip(spiking, taught, loihi, steps=2, batch=100, quantize=quantize)
    assert len(seen) == 1 + 3 + 2  # the look ahead, the batches, twice the samples held out
    assert not any(np.array_equal(*pair) for pair in zip(arrays(seen[1])[:1], arrays(seen[4])[:1], strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: Samples(s.x, None), "training needs labelled samples"),
        (lambda s: Samples(s.x, s.y[:-1]), "labels are one integer for each sample"),
        (lambda s: Samples(s.x, s.y + 1), r"labels beyond the network's outputs.*limit 0\.\.4"),
        (lambda s: Samples(s.x, s.y - 1), "labels beyond the network's outputs"),
        (lambda s: Samples(s.x, np.full_like(s.y, 2)), "all samples have the same label"),
        (lambda s: Samples(s.x[:1].repeat(240, 0), s.y), "all samples are the same"),
        (lambda s: s.first(1), "too few samples"),
        (lambda s: s.first(4), "too few samples to hold some out"),
        (lambda s: Samples(s.x * np.nan, s.y), "NaN"),
        (lambda s: Samples(s.x * 9, s.y), "leave the input range"),
    ],
)
def test_samples_that_nothing_can_be_learnt_from_are_refused(torch, spiking, taught, loihi, change, message):
    with pytest.raises(DataError, match=message):
        train_on_chip(spiking, change(taught), loihi, steps=2)


def test_samples_of_another_shape_are_refused(torch, spiking, taught, loihi):
    with pytest.raises(ShapeError, match=r"another shape.*\(1, 8, 7\).*\(1, 8, 8\)"):
        train_on_chip(spiking, Samples(taught.x[..., :7], taught.y), loihi, steps=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"epochs": 0}, "epochs"),
        ({"batch": 0}, "batch"),
        ({"lr": 0.0}, "lr: a learning rate is above 0"),
        ({"lr": float("inf")}, "lr"),
        ({"held_out": 0.0}, "held_out"),
        ({"held_out": 1.0}, "held_out"),
    ],
)
def test_settings_without_sense_are_refused(torch, spiking, taught, loihi, settings, message):
    with pytest.raises(UsageError, match=message):
        train_on_chip(spiking, taught, loihi, **{"steps": 2, **settings})


def test_networks_that_cannot_be_trained_are_refused(torch, spiking, taught, loihi):
    def refused(error, message, network):
        with pytest.raises(error, match=message):
            train_on_chip(network, taught, loihi, steps=2)

    refused(UsageError, "an integer network cannot be trained", to_integers(spiking, loihi.precision))
    loop = Projection("conv", "conv", (Conv2d(np.ones((4, 4, 1, 1), np.float32)),), delay=1)
    refused(NetworkError, "cycle", replace(spiking, projections=(*spiking.projections, loop)))
    refused(UsageError, "needs one output", replace(spiking, outputs=("conv", "fc")))
    lowered = nmdeploy.deploy(to_integers(spiking, loihi.precision), loihi).network
    halves = tuple(
        replace(each, synapses=tuple(s if s.weight is None else s.with_weight(s.weight / 2) for s in each.synapses))
        for each in spiking.projections
    )
    own = replace(spiking, populations=(spiking.populations[0], *lowered.populations[1:]), projections=halves)
    refused(UsageError, r"conv: only ideal neurons are trained.*loihi.LIF", own)
    none = Network(
        "n",
        (Population("in", (1, 8, 8)), Population("out", (1, 8, 8), IF(1.0))),
        (Projection("in", "out"),),
    )
    refused(UsageError, "n: the network has no weights to train", none)


def test_what_the_chip_cannot_express_is_named_before_any_training(torch, spiking, taught, loihi):
    resting = replace(
        spiking,
        populations=tuple(
            replace(each, neuron=replace(each.neuron, refractory=2, v_min=-1.0)) if each.name == "conv" else each
            for each in spiking.populations
        ),
    )
    with pytest.raises(FitError, match=r"(?s)LOI112 .*LOI113 .*refractory"):
        train_on_chip(resting, taught, loihi, steps=2, progress=lambda *_: pytest.fail("it began"))


def test_a_broken_design_rule_is_named_before_any_training(torch, spiking, taught):
    class Strict(PlainTarget):
        def rules(self, chip):
            return (lambda network, _chip: [Violation("PLA001", "conv", "too many neurons", 256, 10)],)

    chip = plain_chip("bias")
    with pytest.raises(FitError, match="PLA001 error: conv: too many neurons"):
        train_on_chip(
            spiking, taught, replace(chip, target=Strict()), steps=2, progress=lambda *_: pytest.fail("it began")
        )


def test_without_torch_it_says_what_brings_it(spiking, taught, loihi, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"training on a chip needs.*'torch'.*pip install 'nmdeploy\[torch\]'"):
        train_on_chip(spiking, taught, loihi, steps=2)

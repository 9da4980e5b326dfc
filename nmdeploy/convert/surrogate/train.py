"""Training a float spiking network with a chip in its forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.coding import Encoder
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.surrogate.backward import scores_with_gradient
from nmdeploy.convert.surrogate.checks import check_settings, check_trainable, divided
from nmdeploy.convert.surrogate.chip_run import OnChip
from nmdeploy.convert.surrogate.parameters import Parameters
from nmdeploy.convert.surrogate.torch_maps import PURPOSE, Tensor
from nmdeploy.convert.surrogate.trained import Epoch, TrainedOnChip, best
from nmdeploy.data import Samples
from nmdeploy.deployment import rule_remarks
from nmdeploy.inference import default_encoder
from nmdeploy.network import Network
from nmdeploy.progress import Progress
from nmdeploy.target import Choice


def train_on_chip(
    spiking: Network,
    samples: Samples,
    chip: Choice,
    *,
    steps: int,
    encoder: Encoder | None = None,
    epochs: int = 1,
    batch: int = 32,
    lr: float = 1e-3,
    seed: int = 0,
    held_out: float = 0.1,
    quantize: Callable[[Network], Network] | None = None,
    progress: Progress | None = None,
) -> TrainedOnChip:
    """Train the weights and biases of a float spiking network with a chip's own spikes in the loop.

    Every batch is quantized, lowered and emulated as the chip would run it. The loss is the
    cross entropy of the chip's scores: potentials or spike counts per input step, in units of
    the trained network's outputs (so their temperature is 1). Its gradient is that of the
    clipped ReLU (`backward`). Adam (Kingma and Ba 2015, arXiv:1412.6980), with a learning rate
    that falls to 0 along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983).
    Thresholds, initial potentials and delays stay what they are.

    Args:
        spiking: float network, as from `to_spiking`, better from `calibrate`; its neurons have
            the reset that the chip can do.
        samples: labelled, float `[N, *shape]`, as the encoder takes them; no test samples.
        chip: target, chip and profile whose arithmetic is used.
        steps: input steps T of an inference; the trained network is for this T.
        encoder: default: `default_encoder`.
        epochs: passes over the samples.
        batch: samples a step of the optimizer.
        lr: the learning rate at the start, as a share of the root mean square of the weights
            that enter a population.
        seed: of the samples held out, and of the order of the others.
        held_out: share of the samples that only judge; of the epochs that decide no fewer of them
            rightly than before, the one with the lowest loss on them is kept.
        quantize: brings a float network to the chip's integers; default: `to_integers`.
        progress: called with (samples run, in all); an interrupt passes through and harms nothing.

    Returns:
        The trained network and what each epoch reached. The same seed gives the same
        network on one machine.

    Raises:
        MissingDependency: without torch.
        UsageError, NetworkError: for a network that cannot be trained, or settings without sense.
        DataError, ShapeError: for samples that cannot be used.
        FitError: with every violation, when the chip cannot express the network.
        NmdeployError: whatever encoding and quantizing find wrong.
    """
    import_torch(PURPOSE)
    check_trainable(spiking)
    check_settings(steps, epochs, batch, lr, held_out)
    training, held = divided(samples, spiking, held_out, seed)
    in_integers = quantize or (lambda network: to_integers(network, chip.precision))
    on_chip = OnChip(chip, in_integers, encoder or default_encoder(spiking), steps)
    rule_remarks(chip, on_chip.lowered(spiking))
    ticks = _Ticks(progress, epochs * len(training) + (epochs + 1) * len(held))
    run = _Training(on_chip, spiking, training, held, ticks.tick)
    found, history, kept = run.trained(epochs, batch, lr, seed)
    before, after = history[0].held_out_accuracy, history[kept].held_out_accuracy
    note = (
        f"trained on {chip.name} for {steps} steps with {len(training)} samples; epoch {kept} of {epochs} was the best "
        f"on {len(held)} samples held out: {after:.2%} right, before training {before:.2%} (emulated)"
    )
    network = replace(found, notes=(*spiking.notes, note))
    return TrainedOnChip(network, tuple(history), kept, len(training), len(held))


class _Training:
    """A training under way."""

    def __init__(
        self, on_chip: OnChip, network: Network, training: Samples, held: Samples, tell: Callable[[int], None]
    ) -> None:
        self.on_chip, self.network, self.training, self.held, self._tell = on_chip, network, training, held, tell
        self.parameters = Parameters(network, on_chip.chip.precision.bias is not None)

    def trained(self, epochs: int, batch: int, lr: float, seed: int) -> tuple[Network, list[Epoch], int]:
        """The best network, what was reached, and the epoch it is from."""
        optim = import_torch(PURPOSE).optim
        optimizer = optim.Adam(self.parameters.groups(lr))
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(self.training) // batch))
        shuffle = np.random.Generator(np.random.PCG64(seed))
        found = self.network
        history = [self._judged(0, None, found)]
        for number in range(1, epochs + 1):
            loss = self._epoch(optimizer, schedule, shuffle.permutation(len(self.training)), batch)
            network = self.parameters.network()
            history.append(self._judged(number, loss, network))
            found = network if best(history) == number else found
        return found, history, best(history)

    def _epoch(self, optimizer: Any, schedule: Any, order: NDArray[np.int64], batch: int) -> float:
        """Train on all samples once, in this order; their mean loss."""
        total = 0.0
        for start in range(0, len(order), batch):
            chosen = self.training.take(order[start : start + batch])
            optimizer.zero_grad()
            loss = self._loss(chosen)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
            self._tell(len(chosen))
        return total / len(order)

    def _loss(self, samples: Samples) -> Any:
        """The mean cross entropy of a batch on the chip, with its gradient."""
        network = self.parameters.network()
        scores = scores_with_gradient(network, self.parameters, self.on_chip.run(network, samples.x))
        return _cross_entropy(scores, samples)

    def _judged(self, number: int, loss: float | None, network: Network) -> Epoch:
        """How a network does on the samples held out."""
        scores, decision = self.on_chip.decided(network, self.held.x)
        held_out_loss = float(_cross_entropy(import_torch(PURPOSE).from_numpy(scores), self.held))
        self._tell(len(self.held))
        return Epoch(number, loss, held_out_loss, decision.accuracy(_labels(self.held)))


class _Ticks:
    """Counts samples for a progress display."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def tick(self, samples: int) -> None:
        """So many more samples have run."""
        self._done += samples
        if self._progress is not None:
            self._progress(self._done, self._total)


def _cross_entropy(scores: Tensor, samples: Samples) -> Tensor:
    torch = import_torch(PURPOSE)
    return torch.nn.functional.cross_entropy(scores, torch.from_numpy(_labels(samples)))


def _labels(samples: Samples) -> NDArray[np.int64]:
    return np.zeros(0, np.int64) if samples.y is None else samples.y.astype(np.int64)

"""What a training on a chip gives back."""

from __future__ import annotations

from dataclasses import dataclass

from nmdeploy.network import Network


@dataclass(frozen=True)
class Epoch:
    """How the network did in and after an epoch, on the emulated chip.

    Attributes:
        number: from 1; 0 is the network before training.
        loss: mean cross entropy (nats) of the epoch's training samples, as they were met while
            weights changed; None before training.
        held_out_loss: mean cross entropy (nats) of the samples held out, after the epoch.
        held_out_accuracy: share of them decided rightly after the epoch; a tie is no decision.
    """

    number: int
    loss: float | None
    held_out_loss: float
    held_out_accuracy: float


@dataclass(frozen=True)
class TrainedOnChip:
    """A network trained on a chip, and how it came about.

    Attributes:
        network: float network, as it was after epoch `kept`.
        history: the state before training, then an entry for each epoch.
        kept: the epoch that was best on the samples held out; 0 where training did not help.
        trained_on, held_out: how many samples.
    """

    network: Network
    history: tuple[Epoch, ...]
    kept: int
    trained_on: int
    held_out: int


def best(history: list[Epoch]) -> int:
    """The number of the epoch with the lowest loss on the samples held out, of those that decide no fewer rightly.

    The loss is the finer measure: on some hundred samples an accuracy is chance by half a point or more. None
    that decides fewer rightly than before training is taken.
    """
    eligible = [epoch for epoch in history if epoch.held_out_accuracy >= history[0].held_out_accuracy]
    return min(eligible, key=lambda epoch: epoch.held_out_loss).number

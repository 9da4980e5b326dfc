"""What encoders and read-outs are: small frozen records, stored in bundles by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import UsageError
from nmdeploy.structure import Record

if TYPE_CHECKING:
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Population


class Encoder(Record, ABC):
    """Turns samples into input spikes. Subclasses are frozen dataclasses of plain values."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def largest(self) -> int:
        """Largest spike value in one step; the input population's `maximum`."""

    @abstractmethod
    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        """Spikes `[T, N, *shape]` for samples `[N, *shape]`.

        Args:
            samples: values in the encoder's range.
            steps: number of time steps T, at least 1.

        Returns:
            uint8 spikes, 0..`largest`.

        Raises:
            DataError: for NaN, an empty set, or values out of range, naming the value and the remedy.
        """

    def inputs(self, names: Sequence[str], samples: NDArray[Any], steps: int) -> Mapping[str, NDArray[np.uint8]]:
        """The spikes of all input populations; most encoders know one.

        Args:
            names: of the input populations.
            samples, steps: as for `encode`.

        Raises:
            UsageError: for input populations that the encoder does not know.
            DataError: as from `encode`.
        """
        if len(names) != 1:
            raise UsageError("one input population is needed here", found=", ".join(names) or "none", limit=1)
        return {names[0]: self.encode(samples, steps)}


@dataclass(frozen=True)
class Decision:
    """What a read-out says of every sample.

    Attributes:
        labels: winning class, int64 `[N]`; the lowest of the best classes where tied.
        scores: `[N, classes]`, larger is better.
        tied: bool `[N]`: more than one class has the best score (no class spiked counts as a tie).
        decided_at: step (from 0) in which the winner was known, int64 `[N]`, -1 where it
            never was; None for read-outs that look at the whole run.
    """

    labels: NDArray[np.int64]
    scores: NDArray[Any]
    tied: NDArray[np.bool_]
    decided_at: NDArray[np.int64] | None = None

    @classmethod
    def of_scores(cls, scores: NDArray[Any]) -> Decision:
        """The lowest of the classes with the largest score of each row `[N, classes]`, and whether it shares it."""
        best = scores.max(axis=1, keepdims=True)
        return cls(scores.argmax(axis=1).astype(np.int64), scores, (scores == best).sum(axis=1) > 1)

    def right(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which samples are decided rightly, bool `[N]`; a tie is no decision and is not right."""
        right: NDArray[np.bool_] = (self.labels == labels) & ~self.tied
        return right

    def accuracy(self, labels: NDArray[Any]) -> float:
        """Share of samples decided rightly."""
        return float(np.mean(self.right(labels)))


class ReadOut(Record, ABC):
    """Turns the outcome of a run into decisions. Subclasses are frozen dataclasses of plain values."""

    kind: ClassVar[str]

    @property
    def deciding_spikes(self) -> int | None:
        """How many spikes of one neuron make the decision; None where the whole run does."""
        return None

    @abstractmethod
    def decide(self, result: Result, population: Population) -> Decision:
        """Decisions from an output population of a run.

        Args:
            result: what the run recorded.
            population: the output population of the network that ran, `(classes,)` or
                `(classes, 1, 1)`; it tells the scale of the potentials.

        Raises:
            DataError: when the run did not record what this read-out needs.
            UsageError: when the population's neurons cannot be read out this way.
            ShapeError: when the population is no vector of classes.
        """

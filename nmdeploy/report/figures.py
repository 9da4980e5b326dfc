"""Figures that a deployment carries, so that the bundle alone can print its report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import DataError

if TYPE_CHECKING:
    from nmdeploy.coding import Decision

STAGES = ("ANN", "quantized ANN", "float SNN", "integer SNN", "chip")
"""The stages of the whole path, in the order in which reports list them."""

_PREFIX = "accuracy."
_Z95 = 1.959963984540054  # the 97.5 % quantile of the standard normal distribution


class Kind(str, Enum):
    """How a number in a report came about."""

    MEASURED = "measured"
    """On real data with the real thing: a trained network, a board."""
    SIMULATED = "simulated"
    """By a float simulation of spikes."""
    EMULATED = "emulated"
    """By the bit-exact integer emulator."""
    MODELLED = "modelled"
    """Computed from a chip's published figures or from the weights, nothing ran."""


@dataclass(frozen=True)
class Accuracy:
    """How many samples one stage of the path decides rightly.

    Attributes:
        stage: one of `STAGES`, or a name of your own.
        correct: samples decided rightly; a tie is no decision and is not among them.
        samples: samples tried, at least 1.
        ties: samples without a decision, because several classes share the best score.
        kind: how the number came about.
        steps: input steps of one inference; 0 for a stage without time.
        on: what data, in words.

    Raises:
        DataError: for counts that cannot be (more right than tried, no samples).
    """

    stage: str
    correct: int
    samples: int
    ties: int = 0
    kind: Kind = Kind.EMULATED
    steps: int = 0
    on: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))
        if self.samples < 1:
            raise DataError("an accuracy needs samples", where=self.stage, found=self.samples, limit="at least 1")
        if min(self.correct, self.ties, self.steps) < 0 or self.correct + self.ties > self.samples:
            raise DataError(
                "counts of an accuracy do not add up",
                where=self.stage,
                found=f"{self.correct} correct and {self.ties} tied of {self.samples}",
            )

    @classmethod
    def of(
        cls,
        stage: str,
        decision: Decision,
        labels: NDArray[Any],
        kind: Kind | str = Kind.EMULATED,
        steps: int = 0,
        on: str = "",
    ) -> Accuracy:
        """The accuracy of decisions against integer labels `[N]`."""
        right = decision.right(labels)
        ties = int(np.count_nonzero(decision.tied))
        return cls(stage, int(np.count_nonzero(right)), len(labels), ties, Kind(kind), steps, on)

    @property
    def value(self) -> float:
        """Share of samples decided rightly."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % score interval of the share (doi:10.1080/01621459.1927.10502953).

        With n samples, share p and z the normal quantile::

            (p + z^2/2n -+ z * sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
        """
        n, p, z = self.samples, self.value, _Z95
        centre = p + z * z / (2 * n)
        reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        # Rounding may put an end on the wrong side of a share of 0 or 1.
        low, high = (centre - reach) / scale, (centre + reach) / scale
        return max(0.0, min(p, low)), min(1.0, max(p, high))

    @property
    def standard_error(self) -> float:
        """The binomial standard error of the share by Agresti and Coull (doi:10.1080/00031305.1998.10480550).

        With z^2/2 successes and as many failures added, so that it is not 0 even where all are right::

            sqrt(q(1-q) / (n + z^2)),  q = (np + z^2/2) / (n + z^2)
        """
        n = self.samples + _Z95 * _Z95
        q = (self.correct + _Z95 * _Z95 / 2) / n
        return math.sqrt(q * (1 - q) / n)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.stage}: {self.value:.2%} right ({self.correct} of {self.samples}, {self.ties} tied, "
            f"95 % interval {low:.2%} to {high:.2%}; {self.kind.value})"
        )

    def figure(self) -> dict[str, Any]:
        """The plain form that a deployment's `figures` hold."""
        return {
            "value": self.value,
            "kind": self.kind.value,
            "on": self.on,
            "correct": self.correct,
            "samples": self.samples,
            "ties": self.ties,
            "steps": self.steps,
        }


def accuracy_figures(accuracies: Iterable[Accuracy]) -> dict[str, dict[str, Any]]:
    """Entries for `Deployment.figures`, one for each stage: `accuracy.<stage>`."""
    return {_PREFIX + accuracy.stage: accuracy.figure() for accuracy in accuracies}


def is_accuracy(name: str) -> bool:
    """Whether a figure of this name is an accuracy."""
    return name.startswith(_PREFIX)


def accuracies(figures: Mapping[str, Mapping[str, Any]]) -> tuple[Accuracy, ...]:
    """The accuracies among `figures`, in the order of `STAGES`, others after them by name.

    Raises:
        DataError: naming an entry that is no accuracy.
    """
    found = [_accuracy(name, figure) for name, figure in figures.items() if is_accuracy(name)]
    rank = {stage: place for place, stage in enumerate(STAGES)}
    return tuple(sorted(found, key=lambda each: (rank.get(each.stage, len(STAGES)), each.stage)))


def _accuracy(name: str, figure: Mapping[str, Any]) -> Accuracy:
    counts = ("correct", "samples", "ties", "steps")
    try:
        numbers = {key: int(figure[key]) for key in counts}
        return Accuracy(name[len(_PREFIX) :], kind=Kind(figure["kind"]), on=str(figure["on"]), **numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "the figure is no accuracy",
            where=name,
            found=f"{type(error).__name__}: {error}",
            limit=", ".join((*counts, "kind", "on")),
        ) from error

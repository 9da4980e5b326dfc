"""An encoder for networks that a clock drives beside their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding.base import Encoder
from nmdeploy.errors import UsageError


@dataclass(frozen=True, eq=False, repr=False)
class Clocked(Encoder):
    """An encoder of one input for its first steps, and the same spikes for every sample on the others.

    Attributes:
        encoder: of the input.
        input: name of the input population.
        input_steps: steps in which it has spikes; silence follows.
        clocks: spikes uint8 `[steps, *shape]` of the other input populations, by name.

    Raises:
        UsageError: for clocks of different lengths, or shorter than the input.
    """

    kind: ClassVar[str] = "Clocked"
    encoder: Encoder
    input: str
    input_steps: int
    clocks: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        self.freeze_arrays()
        lengths = {len(train) for train in self.clocks.values()}
        if len(lengths) > 1 or min(lengths, default=self.input_steps) < self.input_steps:
            found = ", ".join(map(str, sorted(lengths)))
            raise UsageError("clocks have one length, the input's at least", found=found, limit=self.input_steps)

    @property
    def steps(self) -> int:
        """Steps of one inference: fewer would cut it off, more add silence."""
        return max((len(train) for train in self.clocks.values()), default=self.input_steps)

    @property
    def largest(self) -> int:
        return self.encoder.largest

    def encode(self, samples: NDArray[Any], steps: int) -> NDArray[np.uint8]:
        if steps < self.steps:
            hint = f"leave the number of steps out: it is {self.steps}"
            raise UsageError("the clocks need more steps", where=self.kind, found=steps, limit=self.steps, hint=hint)
        return _lasting(self.encoder.encode(samples, self.input_steps), steps)

    def inputs(self, names: Sequence[str], samples: NDArray[Any], steps: int) -> Mapping[str, NDArray[np.uint8]]:
        if {*names} != {self.input, *self.clocks}:
            wanted = ", ".join([self.input, *self.clocks])
            raise UsageError("the encoder is for other inputs", found=", ".join(names), limit=wanted)
        spikes = self.with_clocks(self.encode(samples, steps), steps)
        return {name: spikes[name] for name in names}

    def with_clocks(self, spikes: NDArray[Any], steps: int) -> dict[str, NDArray[np.uint8]]:
        """Spikes of all inputs, uint8 `[steps, N, *shape]` by name.

        Args:
            spikes: of the input, `[T, N, *shape]`, T up to `steps`; silence follows.
            steps: how many.
        """
        found = {self.input: _lasting(spikes, steps)}
        for name, train in self.clocks.items():
            found[name] = np.repeat(_lasting(train, steps)[:, None], spikes.shape[1], axis=1)
        return found


def _lasting(spikes: NDArray[Any], steps: int) -> NDArray[np.uint8]:
    """Spikes followed by silence, `steps` in all."""
    whole = np.zeros((steps, *spikes.shape[1:]), np.uint8)
    whole[: len(spikes)] = spikes
    return whole

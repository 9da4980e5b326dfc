"""An encoder for networks that take sample after sample in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding.clocked import Clocked
from nmdeploy.errors import UsageError


@dataclass(frozen=True, eq=False, repr=False)
class Streamed(Clocked):
    """`Clocked`, and `stream`: samples one behind the other, the next one while the network still works on the last.

    Attributes:
        period: steps from one sample to the next.
        tail: what clocks send after the last step of `clocks`, for the same sample: uint8
            `[steps, *shape]` by name. A run of a single sample ends before.

    Raises:
        UsageError: for a period below 1, or a tail of what is no clock.
    """

    kind: ClassVar[str] = "Streamed"
    period: int
    tail: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period < 1:
            raise UsageError("samples follow each other after a step at least", where="period", found=self.period)
        stray = sorted(self.tail.keys() - self.clocks.keys())
        if stray:
            raise UsageError("only clocks send after a sample", where=self.kind, found=", ".join(stray))

    def stream(self, names: Sequence[str], samples: NDArray[Any]) -> Mapping[str, NDArray[np.uint8]]:
        """Spikes of the input populations `names` for samples in one run, `[steps, 1, *shape]` each.

        Args:
            names: of the input populations.
            samples: `[N, *shape]`, at least one; N samples take `steps + period * (N - 1)` steps.

        Raises:
            UsageError: for other inputs, or without samples.
            DataError: as `encode`.
        """
        if not len(samples):
            raise UsageError("there are no samples")
        whole = self.steps + self.period * (len(samples) - 1)
        single = self.inputs(names, samples, self.steps)
        found = {}
        for name, spikes in single.items():
            found[name] = np.zeros((whole, 1, *spikes.shape[2:]), np.uint8)
            for index in range(len(samples)):
                train = np.concatenate([spikes[:, index], self.tail.get(name, spikes[:0, index])])
                window = found[name][index * self.period :][: len(train), 0]
                window |= train[: len(window)]
        return found

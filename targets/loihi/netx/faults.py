"""What a `.net` file cannot say, as violations with codes of their own; all of them are told at once.

| code | what a `.net` file needs |
|---|---|
| `LOI301` | one input, then one population after the other; the last one is the output |
| `LOI302` | what is no convolution is small enough to be written as a matrix |
| `LOI303` | dense weights that NetX and Lava leave as they are |
| `LOI304` | weights times 2**exponent that are integers |
| `LOI305` | kernel weights that fit a synapse |
| `LOI306` | neurons all cleared in one interval, each layer one step after the one before, or none |
| `LOI307` | sums that are wrapped where Lava wraps them, or not at all |
| `LOI308` | biases of whole weight units, 16 bits |
| `LOI309` | potentials and currents that start from 0 |
| `LOI310` | one threshold and one pair of decays for all neurons of a layer |
| `LOI311` | LIF neurons that reset to zero |
| `LOI312` | one synapse between two neurons, delayed by at most 62 steps, and not at all where there are loops |
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nmdeploy.errors import FitError
from nmdeploy.target import Violation

SCRIPT = "emit a Lava script instead (form 'lava')"
"""The hint where only the file's form is in the way."""


@dataclass
class Faults:
    """Violations found so far."""

    found: list[Violation] = field(default_factory=list)

    def add(
        self,
        code: str,
        where: str,
        message: str,
        found: float | str | None = None,
        limit: float | str | None = None,
        hint: str = SCRIPT,
    ) -> None:
        """Note one violation; see `Violation`."""
        self.found.append(Violation(code, where, message, found, limit, hint))

    def check(self) -> None:
        """Raise FitError with all of them, if there are any."""
        if self.found:
            raise FitError("a .net file", self.found)

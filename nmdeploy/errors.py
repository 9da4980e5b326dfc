"""The errors a user can meet: each says what, where, found, limit and what to do.

Every error that is the user's to mend derives from `NmdeployError`; the command
line prints it as one line and exits with its `exit_code`. Anything else that
escapes is a defect of nmdeploy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmdeploy.target import Violation


class NmdeployError(Exception):
    """A fault in what was given to nmdeploy, told so that it can be mended.

    Args:
        what: the fault, as a short sentence without a full stop.
        where: the population, layer, file or option it concerns.
        found: the offending value.
        limit: what would have been accepted.
        hint: what to do about it.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: object = None,
        limit: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.found, self.limit, self.hint = what, where, found, limit, hint
        super().__init__(one_line(what, where=where, found=found, limit=limit, hint=hint))

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors of worker processes are pickled; the default would call __init__ with the finished message.
        return _restored, (type(self), str(self), dict(vars(self)))


def _restored(kind: type[NmdeployError], message: str, parts: dict[str, Any]) -> NmdeployError:
    error = kind.__new__(kind, message)
    vars(error).update(parts)
    return error


def one_line(
    what: str,
    *,
    where: str | None = None,
    found: object = None,
    limit: object = None,
    hint: str | None = None,
) -> str:
    """Join the parts of a message: `where: what (found F, limit L); hint`."""
    facts = [f"found {found}"] if found is not None else []
    facts += [f"limit {limit}"] if limit is not None else []
    text = f"{where}: {what}" if where else what
    text += f" ({', '.join(facts)})" if facts else ""
    return f"{text}; {hint}" if hint else text


class UsageError(NmdeployError):
    """An option, argument or combination of them that makes no sense."""


class ModelError(NmdeployError):
    """A model that cannot be imported or converted as it stands."""


class NetworkError(NmdeployError):
    """A network that breaks the rules of the IR; holds every fault found.

    Args:
        faults: one sentence for each fault.
        where: the network's name.
    """

    def __init__(self, faults: Iterable[str], *, where: str | None = None) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        title = f"{count} fault{'s' if count != 1 else ''} in the network: "
        super().__init__(title + " | ".join(self.faults), where=where)


class ShapeError(NmdeployError):
    """Arrays or layers whose shapes do not go together."""


class DataError(NmdeployError):
    """Input or calibration data that cannot be used."""


class QuantizationError(NmdeployError):
    """Values that the asked integer format cannot carry."""


class BundleError(NmdeployError):
    """A `.nmd` file that is torn, foreign, newer than this release, or unsafe to open."""


class EmulationOverflow(NmdeployError):
    """An integer left its format where the profile says `raise`.

    Args:
        what: the variable that left its format.
        index: (sample, *neuron) of the first offending value, where known.
        where: the population or projection; the emulators add it, see `at`.
        step: the time step, from 0; added likewise.
        found: the offending value.
        limit: the format's range.
    """

    def __init__(
        self,
        what: str,
        *,
        index: tuple[int, ...] | None = None,
        where: str | None = None,
        step: int | None = None,
        found: object = None,
        limit: object = None,
    ) -> None:
        self.index, self.step = index, step
        parts = [where] if where else []
        parts += [f"step {step}"] if step is not None else []
        parts += [f"sample {index[0]}", f"neuron {index[1:]}"] if index else []
        super().__init__(what, where=", ".join(parts) or None, found=found, limit=limit)

    def at(self, where: str, step: int, first_sample: int = 0) -> EmulationOverflow:
        """The same overflow with its place; samples are counted on from `first_sample`."""
        index = (self.index[0] + first_sample, *self.index[1:]) if self.index else None
        return EmulationOverflow(self.what, index=index, where=where, step=step, found=self.found, limit=self.limit)


class MissingDependency(NmdeployError):
    """An optional library is needed and not installed.

    Args:
        library: the library's import name.
        extra: nmdeploy's extra that brings it.
        purpose: what it is needed for.
    """

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(
            f"{purpose} needs the library {library!r}, which is not installed",
            hint=f"pip install 'nmdeploy[{extra}]'",
        )


class FitError(NmdeployError):
    """A network that does not fit the chip; holds every violation.

    Args:
        chip: the chip's name.
        violations: what was violated, in the order of the rules.
    """

    exit_code = 3

    def __init__(self, chip: str, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        lines = "".join(f"\n  {violation}" for violation in self.violations)
        count = len(self.violations)
        super().__init__(f"does not fit: {count} violation{'s' if count != 1 else ''}{lines}", where=chip)


class HardwareUnavailable(NmdeployError):
    """A board was demanded and none is there."""

    exit_code = 4


class RunError(NmdeployError):
    """A vendor's software or a board failed during a run, or did not finish in time."""

    exit_code = 1


class CheckFailed(NmdeployError):
    """A check ran and its answer is no (conformance, replayed vectors, a placement)."""

    exit_code = 1

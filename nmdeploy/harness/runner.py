"""Choosing what runs a deployment: a board, the vendor's software, or the emulator; and saying which, and why."""

from __future__ import annotations

from dataclasses import dataclass

from nmdeploy.backend import AUTO, BOARD, DEFAULT_SETTINGS, EMULATOR, PLACES, VENDOR, Backend, RunSettings
from nmdeploy.errors import HardwareUnavailable, UsageError
from nmdeploy.registry import targets


@dataclass(frozen=True)
class Runner:
    """What runs a deployment.

    Attributes:
        on: `board`, `vendor` or `emulator`.
        backend: runs it; None for the emulator.
        found: what that is, with versions and device.
        passed_over: better ones that are not ready, each with the reason.
    """

    on: str
    backend: Backend | None
    found: str
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.on}: {self.found}"

    @property
    def kind(self) -> str:
        """How its numbers came about: only a board measures."""
        return "measured" if self.on == BOARD else "emulated"


def choose_runner(
    target: str, on: str = AUTO, settings: RunSettings = DEFAULT_SETTINGS, *, require_hardware: bool = False
) -> Runner:
    """The runner that a user asks for.

    Args:
        target: name of the chip family.
        on: one of `PLACES`.
        settings: which interpreter, which board, how long.
        require_hardware: nothing but a board will do.

    Raises:
        UsageError: for a place that there is not, or that is no hardware where hardware is required.
        HardwareUnavailable: when what is asked for is not ready.
    """
    if on not in PLACES:
        raise UsageError("unknown place to run", found=repr(on), limit=", ".join(PLACES))
    if require_hardware and on not in (AUTO, BOARD):
        raise UsageError("hardware is required", found=f"--on {on}", limit=f"{AUTO}, {BOARD}")
    wanted = (BOARD,) if require_hardware else (BOARD, VENDOR) if on == AUTO else (on,)
    if on == EMULATOR:
        return _emulator(())
    backends = _backends(target, settings)
    passed_over: list[tuple[str, str | None]] = []
    for name in wanted:
        if name not in backends:
            passed_over.append((f"{name}: the chip family {target!r} has none", None))
            continue
        answer = backends[name].availability()
        if answer.ready:
            return Runner(name, backends[name], answer.found, tuple(reason for reason, _ in passed_over))
        passed_over.append((f"{name}: {answer.found}", answer.hint))
    if on == AUTO and not require_hardware:
        return _emulator(tuple(reason for reason, _ in passed_over))
    reason, hint = passed_over[-1]
    if wanted[0] not in backends and not require_hardware:
        limit = ", ".join([EMULATOR, *backends])
        why = targets()[target].without.get(on) if target in targets() else None
        raise UsageError("the chip family cannot be run there", where=target, found=on, limit=limit, hint=why)
    raise HardwareUnavailable(reason, hint=hint)


def _emulator(passed_over: tuple[str, ...]) -> Runner:
    from nmdeploy.emulator import compiled

    engine = "compiled engine" if compiled.sets() else "numpy engine"
    return Runner(EMULATOR, None, f"nmdeploy's emulator, {engine}", passed_over)


def _backends(target: str, settings: RunSettings) -> dict[str, Backend]:
    known = targets()
    return dict(known[target].backends(settings)) if target in known else {}

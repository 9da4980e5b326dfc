"""The names of the engines."""

from __future__ import annotations

from typing import Literal

from nmdeploy.emulator import compiled
from nmdeploy.errors import UsageError

Engine = Literal["fast", "compiled", "numpy", "reference"]
ENGINES: tuple[Engine, ...] = ("fast", "compiled", "numpy", "reference")


def check_engine(engine: str) -> None:
    """Refuse an engine that does not exist, or was not built.

    Raises:
        UsageError: naming it.
    """
    if engine not in ENGINES:
        raise UsageError("unknown engine", found=repr(engine), limit=", ".join(map(repr, ENGINES)))
    if engine == "compiled" and not compiled.sets():
        raise UsageError(
            "the compiled engine was not built",
            found="no extension module nmdeploy.emulator._kernels",
            hint="install nmdeploy again where there is a C compiler, or use engine='numpy'",
        )

"""Another interpreter, in which a vendor's software lives: asked what it has, and run without our module paths."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmdeploy.backend import RunSettings
from nmdeploy.child_process import run_child
from nmdeploy.errors import RunError

PROBE_LIMIT_S = 60.0


def ask(python: Path, probe: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `probe`, a few statements that end by printing a JSON object, says in the interpreter `python`.

    Args:
        python: the interpreter.
        probe: statements; only the last line that they print counts.
        environment: of the child; None for this process's.

    Raises:
        RunError: when it cannot be run, or says something else.
    """
    if not python.is_file():
        raise RunError("there is no such Python", where=str(python))
    text = run_child(
        [str(python), "-c", probe],
        what=f"{python}",
        folder=Path(tempfile.gettempdir()),
        limit_s=PROBE_LIMIT_S,
        environment=environment,
    )
    try:
        answer = json.loads(text.splitlines()[-1])
    except (ValueError, LookupError) as error:
        raise RunError("is no Python", where=str(python), found=text[:200]) from error
    if not isinstance(answer, dict):
        raise RunError("is no Python", where=str(python), found=text[:200])
    return answer


def clean_environment(settings: RunSettings) -> dict[str, str]:
    """This process's environment; another interpreter does not get this one's module paths."""
    dropped = ("PYTHONPATH", "PYTHONHOME") if settings.python is not None else ()
    return {name: value for name, value in os.environ.items() if name not in dropped}

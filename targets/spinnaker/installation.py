"""Where sPyNNaker is installed, and the environment it runs in: with a home folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nmdeploy.backend import RunSettings
from nmdeploy.vendor_python import ask, clean_environment

INSTALL_HINT = (
    'pip install "sPyNNaker==1!7.4.1" on Python 3.11 or later, and name that Python with --vendor-python PATH'
)
PROBE = """\
import importlib.metadata, json, platform, site
try:
    version = importlib.metadata.version("sPyNNaker").partition("!")[2]
except importlib.metadata.PackageNotFoundError:
    version = None
print(json.dumps({"version": version, "python": platform.python_version(), "user_base": site.getuserbase()}))
"""
"""Asks an interpreter for sPyNNaker, without importing it: an import makes a file in the home folder."""


@dataclass(frozen=True)
class Installation:
    """What an interpreter has.

    Attributes:
        interpreter: where it is.
        python: its version.
        version: sPyNNaker's; None where it is missing.
        user_base: where its packages of the user's own are.
    """

    interpreter: Path
    python: str
    version: str | None
    user_base: str

    @property
    def missing(self) -> str:
        """That sPyNNaker is not there, as a message."""
        return f"sPyNNaker is not installed for Python {self.python} ({self.interpreter})"


def probe(settings: RunSettings) -> Installation:
    """What the interpreter that `settings` names has.

    Raises:
        RunError: when it cannot be run.
    """
    answer = ask(settings.interpreter, PROBE, clean_environment(settings))
    version = answer.get("version")
    return Installation(
        settings.interpreter,
        str(answer.get("python")),
        None if version is None else str(version),
        str(answer.get("user_base")),
    )


def home_environment(settings: RunSettings, found: Installation, home: Path) -> Mapping[str, str]:
    """An environment in which sPyNNaker reads and writes `home` instead of the user's home folder."""
    moved = {"HOME": str(home), "USERPROFILE": str(home), "PYTHONUSERBASE": found.user_base}
    return {**clean_environment(settings), **moved}

"""`nmdeploy doctor`: what is installed, what is missing, what to type."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

from nmdeploy.cli.console import say

LIBRARIES = (
    ("numpy", None, "everything"),
    ("scipy", None, "unrolled matrices, mapping"),
    ("h5py", None, "bundles"),
    ("torch", "torch", "import from PyTorch"),
    ("scikit-learn", "demo", "the demonstration's data"),
    ("matplotlib", "plot", "nothing yet; plots come later"),
    ("lava-nc", "loihi", "running Loihi bundles on Lava in this interpreter (Python 3.10 only)"),
    ("onnx", "onnx", "nothing yet; import from ONNX comes later"),
    ("nir", "nir", "nothing yet; import from NIR comes later"),
    ("sinabs", "dynapcnn", "comparing Speck bundles with sinabs, in tests and benchmarks"),
    ("samna", None, "running bundles on DYNAP-CNN and Speck boards"),
    ("aedat", "aedat", "reading events from .aedat4"),
    ("sPyNNaker", "spinnaker", "SpiNNaker's own mapper, and machines, in this interpreter (Python 3.11 and later)"),
)


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, None when it is missing; nothing is imported."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _places() -> Iterator[tuple[str, ...]]:
    """A row for each backend of each target."""
    from nmdeploy.registry import targets

    for family, target in targets().items():
        for name, backend in target.backends().items():
            there = backend.availability()
            yield family, name, "yes" if there.ready else "no", there.found, there.hint or "-"


@click.command("doctor")
def doctor_command() -> None:
    """Tell what is installed, what is missing and what to type."""
    from nmdeploy.emulator import compiled
    from nmdeploy.registry import broken_targets, targets
    from nmdeploy.report.summary import table

    say(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    say(f"nmdeploy {installed('nmdeploy')}\n")
    rows = []
    for name, extra, purpose in LIBRARIES:
        found = installed(name)
        remedy = "" if found or extra is None else f"pip install 'nmdeploy[{extra}]'"
        rows.append((name, found or "missing", purpose, remedy))
    say(table(("library", "version", "needed for", "to get it"), rows))
    say("\ntargets: " + (", ".join(targets()) or "none"))
    for name, reason in broken_targets().items():
        say(f"target {name} cannot be loaded: {reason}")
    say(f"compiled kernels: {compiled.description()}")
    say("\nwhere bundles can run: on the emulator, and")
    say(table(("chips", "on", "ready", "what there is", "what to do"), list(_places())))

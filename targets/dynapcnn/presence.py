"""Whether samna and a board are there, found out without importing samna."""

from __future__ import annotations

from pathlib import Path

from nmdeploy.backend import Availability, RunSettings
from nmdeploy.errors import RunError
from nmdeploy.vendor_python import ask, clean_environment

PROBE = """\
import importlib.metadata, importlib.util, json, pathlib, platform
spec = importlib.util.find_spec("samna")
source = spec.origin if spec is not None and spec.origin is not None else ""
text = pathlib.Path(source).read_text(encoding="utf-8", errors="replace") if source.endswith(".py") else ""
try:
    version = importlib.metadata.version("samna")
except importlib.metadata.PackageNotFoundError:
    version = None
print(json.dumps({
    "samna": spec is not None, "version": version, "placeholder": "PYPI_SAMNA" in text,
    "python": platform.python_version(),
}))
"""
"""Asks an interpreter for samna without importing it. `PYPI_SAMNA` is the mark by which samna's package on PyPI
tells itself from the real one, which it would install when imported (samna 0.48.6)."""
GET_SAMNA = "get the real samna: https://synsense-sys-int.gitlab.io/samna, and name its Python: --vendor-python PATH"
USB_DEVICES = Path("/sys/bus/usb/devices")
"""Where Linux tells what is connected."""
USB_VENDOR = "337d"
"""SynSense's number as a maker of USB devices (samna's udev rules, 60-synsense.rules)."""


def board_there(settings: RunSettings, python: Path) -> Availability:
    """Whether a run on a board can start.

    Linux tells which USB devices are connected. On other systems, and for a board that the user
    names, samna is asked for it when the run starts.

    Args:
        settings: which board.
        python: the interpreter that has samna.
    """
    samna = samna_there(settings, python)
    if not samna.ready or settings.board is not None:
        return samna
    boards = synsense_devices()
    if boards is None:
        return Availability(True, f"{samna.found}; whether a board is connected is asked when a run starts")
    if not boards:
        return Availability(False, f"{samna.found}, no board of SynSense's on USB", "connect a board")
    return Availability(True, f"{samna.found}, {', '.join(boards)} on USB")


def samna_there(settings: RunSettings, python: Path) -> Availability:
    """Whether the real samna is installed for an interpreter."""
    try:
        found = ask(python, PROBE, clean_environment(settings))
    except RunError as error:
        return Availability(False, str(error), "name a Python that has samna: --vendor-python PATH")
    where = f"Python {found.get('python')} ({python})"
    if not found.get("samna"):
        return Availability(False, f"samna is not installed for {where}", GET_SAMNA)
    if found.get("placeholder"):
        return Availability(False, f"only samna's placeholder from PyPI is installed for {where}", GET_SAMNA)
    return Availability(True, f"samna {found.get('version') or 'of unknown version'} for {where}")


def synsense_devices() -> list[str] | None:
    """SynSense's USB devices by product name; None where the system does not tell."""
    if not USB_DEVICES.is_dir():
        return None
    devices = [path.parent for path in sorted(USB_DEVICES.glob("*/idVendor")) if _text(path) == USB_VENDOR]
    return [_text(path / "product") or f"device {_text(path / 'idProduct')}" for path in devices]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

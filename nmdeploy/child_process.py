"""Running a vendor's software in a process of its own: limited in time, nothing left behind.

Vendor software forks, hangs and prints; in its own process group it can be ended with
everything it started, whatever happens to it or to us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nmdeploy.errors import RunError

POLL_S = 0.05
"""Seconds between two looks at a running child."""
GRACE_S = 3.0
"""Seconds between the request to end and the end by force; helpers free shared memory meanwhile."""
GRACE_AFTER_SUCCESS_S = 0.2
"""The same for a child that ended well: what is left of its group is about to end, or waits to be reaped."""
TAIL_LINES = 12
"""Last lines of a failed child's output that its error tells."""

LineReader = Callable[[str], None]
"""Called with each line of the child's output."""


def run_child(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    on_line: LineReader | None = None,
) -> str:
    """Run a command to its end, then end everything it started.

    The child's standard input is a pipe that closes when this process dies, however it
    dies; a child that watches it does not outlive us.

    Args:
        command: program and arguments.
        what: what runs, for messages (`Lava`).
        folder: where it runs.
        limit_s: seconds after which it is ended.
        environment: of the child; None for that of this process.
        on_line: called with each line of standard output and standard error as it comes.

    Returns:
        All its output.

    Raises:
        RunError: when it cannot be started, fails, or does not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="nmdeploy-") as scratch:
        path = Path(scratch) / "output.txt"
        with path.open("wb") as output:
            child = _start(command, what, folder, output.fileno(), environment)
        with path.open(encoding="utf-8", errors="replace") as reader:
            lines: list[str] = []

            def read() -> None:
                for line in reader:
                    lines.append(line)
                    if on_line is not None:
                        on_line(line.rstrip("\n"))

            try:
                _await(child, what, limit_s, read, lines)
            finally:
                end_tree(child)
            read()
        if child.returncode:
            raise RunError(f"{what} failed with exit code {child.returncode}", found=_tail(lines))
        return "".join(lines)


def _start(
    command: Sequence[str], what: str, folder: Path, output: int, environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  the command is ours, never a shell's
            command,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise RunError(f"{what} cannot be started: {error.strerror or error}", where=command[0]) from error


def _await(
    child: subprocess.Popen[bytes], what: str, limit_s: float, read: Callable[[], None], lines: list[str]
) -> None:
    """Wait for the child's end, reading its output meanwhile."""
    deadline = time.monotonic() + limit_s
    while child.poll() is None:
        read()
        if time.monotonic() > deadline:
            raise RunError(
                f"{what} did not finish and was ended",
                found=f"{_tail(lines)} after {limit_s:g} s",
                limit=f"{limit_s:g} s",
                hint="allow more seconds, or run fewer samples or steps",
            )
        time.sleep(POLL_S)


def _tail(lines: Sequence[str]) -> str:
    return "".join(lines[-TAIL_LINES:]).strip() or "no output"


def end_tree(child: subprocess.Popen[bytes]) -> None:
    """End a child and everything in its process group: asked first, by force after `GRACE_S`."""
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.close()
    if sys.platform == "win32":
        # Windows has no process groups to signal; taskkill follows parents to children.
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)  # noqa: S603, S607
    else:
        _signal_group(child, signal.SIGTERM)
        deadline = time.monotonic() + (GRACE_AFTER_SUCCESS_S if child.poll() == 0 else GRACE_S)
        while _group_lives(child) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        _signal_group(child, signal.SIGKILL)
    child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    # A group exists as long as one of its processes does.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _group_lives(child: subprocess.Popen[bytes]) -> bool:
    child.poll()  # reaps it: a zombie would count as living
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True

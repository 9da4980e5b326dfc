"""What the command line shows: text on standard output, progress and errors on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str = "") -> None:
    """Print a line (or several) to standard output."""
    click.echo(text)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing.

    Raises:
        BundleError: when the file system refuses.
    """
    from nmdeploy.bundle.atomic import write_replacing

    write_replacing(path, (text + "\n").encode())


def _terminal() -> Console:
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A progress bar on standard error; silent where that is no terminal.

    Args:
        title: what is going on.

    Yields:
        A callback to call with (done, in all).
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = _terminal()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance

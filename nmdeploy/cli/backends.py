"""Options of the commands that can run a bundle elsewhere than on the emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nmdeploy.backend import DEFAULT_SETTINGS, Backend, RunSettings

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment

Command = TypeVar("Command", bound=Callable[..., Any])

EMULATOR = "emulator"


def backend_options(command: Command) -> Command:
    """Add the options that say what runs: `on`, `vendor_python`, `board`, `limit`."""
    options = (
        click.option(
            "--on",
            default=EMULATOR,
            show_default=True,
            type=click.Choice([EMULATOR, "vendor", "board"]),
            help="nmdeploy's emulator, the vendor's own software, or a board.",
        ),
        click.option(
            "--vendor-python",
            "--lava-python",
            "vendor_python",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Python that has the vendor's software; default: this one.",
        ),
        click.option("--board", help="Which board, as the vendor names it; default: the first found."),
        click.option(
            "--limit",
            default=DEFAULT_SETTINGS.limit_s,
            show_default=True,
            type=click.FloatRange(0, min_open=True),
            help="Seconds after which the vendor's software is ended.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen_backend(
    deployment: Deployment, on: str, vendor_python: Path | None, board: str | None, limit: float
) -> Backend | None:
    """The backend that the options name; None for the emulator.

    Raises:
        UsageError: when the chip family is not installed or has no such backend.
    """
    from nmdeploy.errors import UsageError
    from nmdeploy.registry import targets

    if on == EMULATOR:
        return None
    target = targets().get(deployment.target)
    backends = {} if target is None else target.backends(RunSettings(vendor_python, board, limit))
    if on not in backends:
        limits = ", ".join([EMULATOR, *backends])
        raise UsageError("the chip family cannot be run there", where=deployment.target, found=on, limit=limits)
    return backends[on]

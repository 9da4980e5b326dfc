"""Options of the commands that can run a bundle elsewhere than on the emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.backend import DEFAULT_SETTINGS, PLACES, RunSettings
from nmdeploy.cli.option_list import Command, with_options

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.harness.runner import Runner


def backend_options(default: str) -> Callable[[Command], Command]:
    """Add the options that say what runs: `on`, `require_hardware`, `vendor_python`, `board`, `limit`.

    Args:
        default: of `--on`.
    """
    options = (
        click.option(
            "--on",
            default=default,
            show_default=True,
            type=click.Choice(PLACES),
            help="nmdeploy's emulator, the vendor's own software, a board, or the best of them that is there.",
        ),
        click.option("--require-hardware", is_flag=True, help="Fail, with exit code 4, where no board is there."),
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
            help="Seconds after which a run is ended.",
        ),
    )

    def add(command: Command) -> Command:
        return with_options(command, options)

    return add


def chosen_runner(
    deployment: Deployment,
    on: str,
    require_hardware: bool,
    vendor_python: Path | None,
    board: str | None,
    limit: float,
) -> Runner:
    """What the options say shall run a deployment.

    Raises:
        UsageError: when the chip family has no such place to run.
        HardwareUnavailable: when what is asked for is not ready.
    """
    from nmdeploy.harness.runner import choose_runner

    settings = RunSettings(vendor_python, board, limit)
    return choose_runner(deployment.target, on, settings, require_hardware=require_hardware)

"""The `nmdeploy` command: one readable line for an error, and an exit code that says which.

Exit codes: 0 done, 1 a check failed, 2 usage or unusable input, 3 does not fit the
chip, 4 hardware demanded and none there, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module

import click

from nmdeploy.errors import NmdeployError

COMMANDS = {
    "convert": ("nmdeploy.cli.convert", "convert_command"),
    "map": ("nmdeploy.cli.place", "map_command"),
    "emit": ("nmdeploy.cli.emit", "emit_command"),
    "run": ("nmdeploy.cli.run", "run_command"),
    "test": ("nmdeploy.cli.check", "test_command"),
    "compare": ("nmdeploy.cli.check", "compare_command"),
    "diff": ("nmdeploy.cli.diff", "diff_command"),
    "report": ("nmdeploy.cli.report", "report_command"),
    "bench": ("nmdeploy.cli.bench", "bench_command"),
    "targets": ("nmdeploy.cli.targets", "targets_command"),
    "conformance": ("nmdeploy.cli.targets", "conformance_command"),
    "demo": ("nmdeploy.cli.demo", "demo_command"),
    "doctor": ("nmdeploy.cli.doctor", "doctor_command"),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nmdeploy")
def cli() -> None:
    """Take a trained neural network to a neuromorphic chip.

    A network is imported, converted to spikes, quantized to integers, mapped to the
    chip's cores and emulated bit by bit; the result is one .nmd file and a report.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(arguments))


def _terminated(_number: int, _frame: object) -> None:
    """End as an interrupt does, so that child processes and temporary folders go too."""
    sys.exit(128 + signal.SIGTERM)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        cli.main(args=arguments, prog_name="nmdeploy", standalone_mode=False)
    except NmdeployError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone, there is nobody to tell
        return 141
    return 0

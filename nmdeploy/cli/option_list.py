"""Putting a list of options on a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


def with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """A command with options, in this order in its help."""
    for option in reversed(options):
        command = option(command)
    return command

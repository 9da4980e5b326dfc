"""Access to PyTorch, which is an optional dependency."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

from nmdeploy.errors import MissingDependency


def import_torch(purpose: str) -> Any:
    """The torch module.

    Raises:
        MissingDependency: when torch is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingDependency("torch", "torch", purpose) from error


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch's own warnings, logs and printed graphs off the terminal; faults are raised anyway."""
    handlers = list(logging.getLogger("torch").handlers)
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


def first_line(error: Exception) -> str:
    """What an exception of torch says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

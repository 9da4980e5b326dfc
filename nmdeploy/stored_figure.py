"""Reading back what a deployment keeps among its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nmdeploy.errors import DataError

Read = TypeVar("Read")


def stored_figure(
    figures: Mapping[str, Mapping[str, Any]], name: str, what: str, read: Callable[[Mapping[str, Any]], Read]
) -> Read | None:
    """The figure of that name; None when there is none.

    Args:
        figures: of a deployment.
        name: of the entry.
        what: what it should be, for the message.
        read: makes it of the entry.

    Raises:
        DataError: when the entry is none.
    """
    if name not in figures:
        return None
    try:
        return read(figures[name])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"the figure is no {what}", where=name, found=f"{type(error).__name__}: {error}") from error

"""Errors of the integer floor; callers add the layer they concern."""

from __future__ import annotations

from enum import Enum
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray


class QuantizeError(ValueError):
    """A format, scale or value that the integer arithmetic cannot use."""


class OutOfRange(QuantizeError):
    """A value left a format whose overflow rule is `raise`.

    Args:
        values: the integers, one of them out of range.
        minimum: smallest value allowed.
        maximum: largest value allowed.
        name: the format, in words.

    Attributes:
        index: position of the first offending value.
        found: that value.
    """

    def __init__(self, values: NDArray[np.integer[Any]], minimum: int, maximum: int, name: str) -> None:
        outside = np.argwhere((values < minimum) | (values > maximum))
        self.index = tuple(int(i) for i in outside[0])
        self.found = int(values[self.index])
        self.minimum, self.maximum = minimum, maximum
        super().__init__(f"{self.found} at {self.index} is outside {minimum}..{maximum} ({name})")


class Choice(str, Enum):
    """A choice by name; an unknown name is answered with those that exist."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(member.value for member in cls)
        raise QuantizeError(f"{value!r} is no {cls.__name__}; it is one of {known}")

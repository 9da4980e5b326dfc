"""Frozen records with arrays: equality by value, one-line `repr`, fields kept read-only.

`dataclasses` compares numpy arrays with `==`, which has no truth value; every
record of the IR therefore derives from `Record`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


def describe(value: Any) -> str:
    """A short text for `value`: arrays as `int8[32,20,5,5]`, everything else as `repr`."""
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return repr(value.item())
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return repr(value)


def equal_values(left: Any, right: Any) -> bool:
    """Equality that also compares arrays: same dtype, same shape, same elements."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        if not (isinstance(left, np.ndarray) and isinstance(right, np.ndarray)):
            return False
        return left.dtype == right.dtype and np.array_equal(left, right)
    return type(left) is type(right) and bool(left == right)


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A read-only, C-contiguous array of the same values (a copy, unless it is both already)."""
    if not array.flags.writeable and array.flags.c_contiguous:
        return array
    array = np.array(array, order="C", copy=True)
    array.setflags(write=False)
    return array


class Record:
    """Base of the IR's frozen dataclasses (declare them with `frozen=True, eq=False, repr=False`)."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(equal_values(getattr(self, name), getattr(other, name)) for name in field_names(self))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or not equal_values(value, field.default):
                shown.append(f"{field.name}={describe(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def freeze_arrays(self) -> None:
        """Make every array field read-only; call at the end of `__post_init__`."""
        for name in field_names(self):
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, read_only(value))


def field_names(record: Any) -> tuple[str, ...]:
    """The names of the fields a dataclass is made with, in order."""
    return tuple(field.name for field in dataclasses.fields(record) if field.init)

"""Frozen records with arrays: equality by value, one-line `repr`, fields kept read-only.

`dataclasses` compares numpy arrays with `==`, which has no truth value; every
record of the IR therefore derives from `Record`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


def describe(value: Any) -> str:
    """A short text for `value`: arrays as `int8[32,20,5,5]`, also inside mappings, the rest as `repr`."""
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return repr(value.item())
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {describe(item)}" for key, item in value.items()) + "}"
    return repr(value)


def equal_values(left: Any, right: Any) -> bool:
    """Equality that also compares arrays: same dtype, same shape, same elements.

    Mappings and sequences are compared item by item, mappings in any order; a numpy
    scalar equals the plain number of its value.
    """
    left, right = plain_number(left), plain_number(right)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        if not (isinstance(left, np.ndarray) and isinstance(right, np.ndarray)):
            return False
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal_values(left[key], right[key]) for key in left)
    if type(left) is not type(right):
        return False
    if isinstance(left, (tuple, list)):
        return len(left) == len(right) and all(map(equal_values, left, right))
    return bool(left == right)


def plain_number(value: Any) -> Any:
    """A numpy scalar as the Python number of the same value; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A read-only, C-contiguous array of the same values in native byte order (a copy, unless it is that already)."""
    if not array.flags.writeable and array.flags.c_contiguous and array.dtype.isnative:
        return array
    array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
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
            if field.init and not equal_values(value, _default(field)):
                shown.append(f"{field.name}={describe(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def freeze_arrays(self) -> None:
        """Make every array field read-only and numpy scalars plain; call at the end of `__post_init__`."""
        for name in field_names(self):
            object.__setattr__(self, name, _frozen(getattr(self, name)))


def _default(field: dataclasses.Field[Any]) -> Any:
    """The value a field has when none is given; `MISSING` when one must be."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return read_only(value)
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return plain_number(value)


def field_names(record: Any) -> tuple[str, ...]:
    """The names of the fields a dataclass is made with, in order."""
    return tuple(field.name for field in dataclasses.fields(record) if field.init)

"""Plain JSON values plus arrays back to records, checked against the declared field types."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from nmdeploy.bundle.kinds import FAMILIES, class_of
from nmdeploy.bundle.stored_array import Array, is_description, restore
from nmdeploy.errors import BundleError, NmdeployError
from nmdeploy.structure import field_names
from quantize import QuantizeError

_PLAIN = (type(None), bool, int, float, str)


class Decoder:
    """Rebuilds values of declared types; only these types are ever made.

    Args:
        arrays: the stored form of the arrays, by place.
        older: whether an older schema is read; fields that it did not have get their defaults.

    Attributes:
        used: places whose arrays have been asked for.
    """

    def __init__(self, arrays: Mapping[str, Array], *, older: bool = False) -> None:
        self.arrays, self.older = arrays, older
        self.used: set[str] = set()

    def decode(self, plain: Any, declared: Any, place: str) -> Any:
        """The value of type `declared` that `plain` stands for.

        Args:
            plain: from JSON.
            declared: the type, as in the annotation of a field.
            place: where it stands, as in `encoding.encode`.

        Raises:
            BundleError: naming the place where `plain` is not of that type.
        """
        kind = _chosen(plain, declared)
        if kind is None:
            raise BundleError("wrong type", where=place, found=_shown(plain), limit=_words(declared))
        if kind is Any or kind in _PLAIN or get_origin(kind) is Literal:
            return plain
        if _is_array(kind):
            return self._array(plain, place)
        if get_origin(kind) is tuple:
            items = get_args(kind)
            kinds = [items[0]] * len(plain) if items[1:] == (...,) else items
            return tuple(self.decode(p, k, f"{place}.{i}") for i, (p, k) in enumerate(zip(plain, kinds, strict=True)))
        if get_origin(kind) is Mapping:
            item = get_args(kind)[1]
            return {key: self.decode(plain[key], item, f"{place}.{i}") for i, key in enumerate(sorted(plain))}
        if issubclass(kind, Enum):
            return kind(plain)
        return self._record(plain, kind, place)

    def _array(self, plain: dict[str, Any], place: str) -> Array:
        if place not in self.arrays:
            raise BundleError("an array is missing", where=place)
        self.used.add(place)
        return restore(plain, self.arrays[place], place)

    def _record(self, plain: dict[str, Any], declared: type[Any], place: str) -> Any:
        fields = dict(plain)
        made: Any = class_of(declared, fields.pop("kind", None), place) if declared in FAMILIES else declared
        later = defaulted(made) - fields.keys() if self.older else set()
        names = [name for name in field_names(made) if name not in later]
        if fields.keys() != set(names):
            wrong = sorted(fields.keys() ^ set(names))
            raise BundleError(f"fields of {made.__name__} are unknown or missing", where=place, found=", ".join(wrong))
        hints = _hints(made)
        values = {name: self.decode(fields[name], hints[name], f"{place}.{name}") for name in names}
        try:
            return made(**values)
        except (NmdeployError, QuantizeError, ValueError, TypeError, OverflowError) as error:
            raise BundleError(f"no valid {made.__name__}: {error}", where=place) from error


def defaulted(record: Any) -> set[str]:
    """The fields of a record that need not be given."""
    missing = dataclasses.MISSING
    given = (each for each in dataclasses.fields(record) if each.init)
    return {each.name for each in given if each.default is not missing or each.default_factory is not missing}


@cache
def _hints(record: Any) -> dict[str, Any]:
    try:
        return get_type_hints(record)
    except NameError as error:
        raise BundleError(f"the field types of {record.__name__} cannot be read: {error}") from error


def _chosen(plain: Any, declared: Any) -> Any:
    """The member of `declared` (itself, when it is no union) that `plain` has the form of; None when none has."""
    members = get_args(declared) if get_origin(declared) in (Union, types.UnionType) else (declared,)
    return next((member for member in members if _fits(plain, member)), None)


def _fits(plain: Any, declared: Any) -> bool:
    """Whether `plain` has the outer form of a value of type `declared`."""
    origin = get_origin(declared)
    if declared is Any:
        return True
    if declared in _PLAIN:
        return type(plain) is declared or (declared is float and type(plain) is int)
    if origin is Literal:
        return any(type(plain) is type(value) and plain == value for value in get_args(declared))
    if _is_array(declared):
        return is_description(plain)
    if origin is tuple:
        items = get_args(declared)
        return isinstance(plain, list) and (items[1:] == (...,) or len(plain) == len(items))
    if origin is Mapping:
        return isinstance(plain, dict)
    if isinstance(declared, type) and issubclass(declared, Enum):
        return any(type(plain) is type(member.value) and plain == member.value for member in declared)
    return isinstance(plain, dict) and (declared in FAMILIES or dataclasses.is_dataclass(declared))


def _is_array(declared: Any) -> bool:
    """Whether a type is `NDArray[...]`, which is an alias object of its own from numpy 2.5 on."""
    origin = get_origin(declared)
    return np.ndarray in (origin, get_origin(getattr(origin, "__value__", None)))


def _words(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) and not get_args(declared) else str(declared)


def _shown(plain: Any) -> str:
    text = repr(plain)
    return text if len(text) <= 60 else text[:57] + "..."

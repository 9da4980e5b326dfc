"""Records as plain JSON values plus arrays, whatever their classes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from nmdeploy.bundle.kinds import FAMILIES
from nmdeploy.bundle.stored_array import Array, store
from nmdeploy.errors import BundleError
from nmdeploy.structure import field_names, plain_number


def encode(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """`value` in JSON's terms.

    Tuples become lists, records become objects of their fields (with their `kind`
    where the class is chosen by it), enumerations their value. An array becomes its
    description; its elements go to `arrays` under the name of the place.

    Args:
        value: a record, mapping, sequence, array or plain value.
        place: where it stands, dotted from the section on (`network.populations.0`).
            Items of a mapping are numbered in the order of its sorted keys.
        arrays: receives the stored form of every array met, by place.

    Raises:
        BundleError: naming the place of a value that cannot be stored.
    """
    value = plain_number(value)
    if isinstance(value, np.ndarray):
        description, arrays[place] = store(value, place)
        return description
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        raise BundleError("numbers that are not finite cannot be stored", where=place, found=value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [encode(item, f"{place}.{index}", arrays) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _mapping(value, place, arrays)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {name: encode(getattr(value, name), f"{place}.{name}", arrays) for name in field_names(value)}
        return {"kind": value.kind, **fields} if isinstance(value, FAMILIES) else fields
    raise BundleError("values of this type cannot be stored", where=place, found=type(value).__name__)


def _mapping(value: Mapping[Any, Any], place: str, arrays: dict[str, Array]) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise BundleError("only text can be a key", where=place, found=repr(key))
    return {key: encode(value[key], f"{place}.{index}", arrays) for index, key in enumerate(sorted(value))}


def json_bytes(plain: Any) -> bytes:
    """The one JSON text of `plain`: ASCII, sorted keys, no spaces, numbers as Python writes them."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")

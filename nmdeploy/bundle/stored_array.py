"""Arrays as a bundle stores them: little-endian and uncompressed, zeros and ones as bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import BundleError

Array = NDArray[Any]

FLOATS = ("float16", "float32", "float64")

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", *FLOATS)
"""The element types a bundle can hold."""

_MOST_AXES = 32  # numpy 1's limit
_MOST_ELEMENTS = 2**48  # far beyond any memory, far below where shape arithmetic overflows


def store(array: Array, place: str) -> tuple[dict[str, Any], Array]:
    """The description and the stored form of `array`.

    Booleans, and uint8 arrays that hold nothing but 0 and 1 (binary spikes), are
    packed eight to a byte, first element in the highest bit, row-major.

    Raises:
        BundleError: for an element type that bundles do not hold.
    """
    name = array.dtype.name
    if name not in DTYPES:
        raise BundleError("arrays of this type cannot be stored", where=place, found=name, limit=", ".join(DTYPES))
    packed = name == "bool" or (name == "uint8" and array.size > 0 and int(array.max()) <= 1)
    description = {"dtype": name, "packed": packed, "shape": list(array.shape)}
    if packed:
        return description, np.packbits(array.ravel())
    return description, np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def is_description(plain: object) -> bool:
    """Whether `plain` has the form of an array's description."""
    return isinstance(plain, dict) and plain.keys() == {"dtype", "packed", "shape"}


def restore(description: dict[str, Any], stored: Array, place: str) -> Array:
    """The array of `store`, read-only, in the machine's byte order.

    Raises:
        BundleError: when the description is not that of `stored`.
    """
    name, shape = description["dtype"], _shape(description["shape"], place)
    count = math.prod(shape)
    expected = ("uint8", ((count + 7) // 8,)) if description["packed"] is True else (name, shape)
    if name not in DTYPES or expected != (stored.dtype.name, stored.shape):
        found = f"{stored.dtype.name}{list(stored.shape)}"
        raise BundleError("the stored array is not the one described", where=place, found=found, limit=description)
    if description["packed"] is True:
        array = np.unpackbits(stored, count=count).reshape(shape).astype(name, copy=False)
    else:
        array = stored.astype(stored.dtype.newbyteorder("="), copy=False).view()
    array.setflags(write=False)
    return array


def _shape(plain: object, place: str) -> tuple[int, ...]:
    if not isinstance(plain, list) or len(plain) > _MOST_AXES or not all(type(size) is int for size in plain):
        raise BundleError("the shape of an array is a short list of whole numbers", where=place, found=plain)
    if any(size < 0 for size in plain) or math.prod(max(size, 1) for size in plain) > _MOST_ELEMENTS:
        raise BundleError("the shape of an array is absurd", where=place, found=plain)
    return tuple(plain)

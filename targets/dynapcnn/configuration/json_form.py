"""A configuration as JSON: plain integers and booleans, versioned, everything checked when read."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from nmdeploy.bundle.atomic import write_replacing
from nmdeploy.errors import DataError
from nmdeploy.linear_maps import Array
from targets.dynapcnn.configuration.tree import Configuration, Entries

FORMAT = "nmdeploy.dynapcnn.configuration"
VERSION = 1
LARGEST_FILE = 64 << 20
"""Files of more bytes are refused; a full chip takes less than 4 MiB."""


def to_json(configuration: Configuration) -> str:
    """The configuration as JSON text; see `from_json`."""
    header = {"format": FORMAT, "version": VERSION}
    return json.dumps({**header, **plain(configuration)}, separators=(",", ":")) + "\n"


def write_json(configuration: Configuration, path: Path) -> None:
    """Write the configuration to a file, all or nothing.

    Raises:
        BundleError: when the file system refuses.
    """
    write_replacing(path, to_json(configuration).encode())


def from_json(text: str, where: str = "configuration") -> Configuration:
    """A configuration from JSON text; unknown, missing and ill-typed entries are refused.

    Raises:
        DataError: naming the entry.
    """
    return _versioned(_parsed(text, where), where)


def read_json(path: Path) -> Configuration:
    """A configuration from a file; its size is checked before it is read.

    Raises:
        DataError: for a file that is no configuration.
    """
    return _versioned(read_plain(path), str(path))


def read_plain(path: Path) -> Any:
    """The content of a JSON file, whose size is checked before it is read.

    Raises:
        DataError: when it is too large or no JSON.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise DataError("the file is too large", where=str(path), found=size, limit=LARGEST_FILE)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not readable as JSON ({error})", where=where) from error


def _versioned(data: Any, where: str) -> Configuration:
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise DataError(f"not a configuration: 'format' is not {FORMAT!r}", where=where)
    version = data.pop("version", None)
    if version != VERSION:
        raise DataError("the version of the configuration is not known", where=where, found=version, limit=VERSION)
    return from_plain(data, where)


def from_plain(data: Any, where: str = "configuration") -> Configuration:
    """A configuration from dicts and lists, as `plain` makes them; see `from_json`.

    Raises:
        DataError: naming the entry.
    """
    configuration: Configuration = _record(Configuration, data, where)
    faults = configuration.faults()
    if faults:
        raise DataError("; ".join(faults), where=where)
    return configuration


def plain(value: Any) -> Any:
    """A record as dicts, lists, integers and booleans; fields that are None are left out."""
    if is_dataclass(value):
        entries = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        return {name: plain(entry) for name, entry in entries.items() if entry is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _record(kind: type[Any], data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise DataError("must be an object", where=where, found=type(data).__name__)
    known = {entry.name: entry for entry in fields(kind)}
    hints = get_type_hints(kind, include_extras=True)
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise DataError(f"there is no entry {unknown[0]!r}", where=where, limit=", ".join(known))
    missing = [name for name, entry in known.items() if entry.default is MISSING and name not in data]
    if missing:
        raise DataError(f"the entry {missing[0]!r} is missing", where=where)
    return kind(**{name: _value(hints[name], entry, f"{where}.{name}") for name, entry in data.items()})


def _value(hint: Any, data: Any, where: str) -> Any:
    """`data` as what a field's annotation says."""
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return _array(arguments[1], data, where)
    if kind is tuple:
        return tuple(_record(arguments[0], each, f"{where}[{i}]") for i, each in enumerate(_a(list, data, where)))
    if kind is Mapping:
        entries = _a(dict, data, where).items()
        return {_core(key, where): _record(arguments[1], each, f"{where}[{key}]") for key, each in entries}
    if kind is types.UnionType:
        return _value(arguments[0], data, where)
    return _record(hint, data, where) if isinstance(hint, type) and is_dataclass(hint) else _a(hint, data, where)


def _a(kind: Any, data: Any, where: str) -> Any:
    """`data`, which must be of exactly this type: a JSON boolean is no integer."""
    if type(data) is not kind:
        raise DataError(f"must be {kind.__name__}", where=where, found=type(data).__name__)
    return data


def _core(key: str, where: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 3):
        raise DataError("cores are numbered", where=where, found=repr(key[:20]))
    return int(key)


def _array(rule: Entries, data: Any, where: str) -> Array:
    try:
        values = np.array(_a(list, data, where))
    except ValueError as error:
        raise DataError("is no array: its rows differ in length", where=where) from error
    form = rule.form
    if values.dtype.kind != ("b" if form is None else "i") or values.ndim != rule.axes:
        kind = f"{'booleans' if form is None else 'integers'} with {rule.axes} axes"
        raise DataError(f"must be {kind}", where=where, found=f"{values.dtype}{list(values.shape)}")
    if form is None:
        return values
    if not form.holds(values):
        found = int(values.ravel()[np.argmax(np.abs(values))])
        raise DataError("a value is out of range", where=where, found=found, limit=f"{form.minimum}..{form.maximum}")
    return values.astype(form.storage)

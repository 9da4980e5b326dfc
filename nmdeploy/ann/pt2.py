"""Opens `.pt2` files (torch.export.save) without running anything from them.

`torch.export.load` of torch 2.13 is not safe by itself: it unpickles weights and
constants that say they are pickled, falls back to plain pickle where the restricted
one fails, loads compiled libraries from the archive, looks operators up by any name
below `torch`, and evaluates size expressions and guards as Python. So the archive is read here
first, every member that could do one of these is refused or checked, and what passed
is written to a fresh archive in memory, which is the one that torch gets.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmdeploy.ann.torch_library import first_line, import_torch, quiet_torch
from nmdeploy.errors import ModelError

_LARGEST_BYTES = 1 << 32
# Members of an archive as torch 2.8 and later write them, below its root folder.
_KNOWN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|extra/.*|models/\w+\.json|data/sample_inputs/\w+\.pt"
    r"|data/(weights|constants)/\w+(\.json)?"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.\w+|torch\.sym_\w+|math\.\w+")
_SIZES = re.compile(r"(Symbol\('\w+'(, \w+=True)*\)|(Integer|Add|Mul|Pow|Max|Min|Mod|FloorDiv)(?=\()|\d+|[-+*/(), ])*")
_CONTAINERS = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", None})


def load_pt2(path: Path) -> Any:
    """The `ExportedProgram` in a `.pt2` file.

    Raises:
        ModelError: when the file is missing, torn, larger than 4 GiB unpacked, holds
            pickled objects, compiled code or anything that a CNN's program has no use for.
    """
    torch = import_torch("reading a .pt2 file")
    try:
        archive = _checked(path, torch)
        with quiet_torch():
            return torch.export.load(archive)
    except ModelError:
        raise
    except Exception as error:
        hint = "write it with torch.export.save of the installed torch"
        raise ModelError(f"the file cannot be read: {first_line(error)}", where=str(path), hint=hint) from error


def _checked(path: Path, torch: Any) -> io.BytesIO:
    """A fresh archive with what was checked, and nothing else."""
    fresh = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(fresh, "w") as target:
        members = {_below_root(path, member.filename): member for member in source.infolist()}
        unpacked = sum(member.file_size for member in source.infolist())
        if unpacked > _LARGEST_BYTES or len(members) != len(source.infolist()):
            raise _refused(path, f"is larger than {_LARGEST_BYTES} bytes or holds names twice", f"{unpacked} bytes")
        for name, member in members.items():
            data = source.read(member)
            if name.startswith("models/"):
                data = _checked_program(path, data)
            elif name.endswith(".json"):
                _check_weights(path, name, data, members)
            elif name.endswith(".pt"):
                _check_pickle(path, name, data, torch)
            if not name.startswith("extra/"):
                target.writestr(member.filename, data)
    fresh.seek(0)
    return fresh


def _below_root(path: Path, name: str) -> str:
    inner = name.partition("/")[2]
    if not _KNOWN.fullmatch(inner) or ".." in inner:
        raise _refused(path, "holds more than a program and its weights", name)
    return inner


def _check_pickle(path: Path, name: str, data: bytes, torch: Any) -> None:
    """The restricted unpickler must read it, since torch would fall back to the unrestricted one."""
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception as error:
        raise _refused(path, "holds pickled objects", name) from error


def _check_weights(path: Path, name: str, data: bytes, members: dict[str, zipfile.ZipInfo]) -> None:
    """All weights are plain bytes, as many as their shapes need at least."""
    folder = name.rpartition("/")[0]
    for entry, content in json.loads(data)["config"].items():
        if content["use_pickle"] or not content["path_name"].startswith(("weight_", "tensor_")):
            raise _refused(path, "holds pickled objects", entry)
        declared = math.prod(part["as_int"] for part in content["tensor_meta"]["sizes"])
        present = members[f"{folder}/{content['path_name']}"].file_size
        if declared > present:
            raise _refused(path, f"declares {declared} values for a tensor of {present} bytes", entry)


def _checked_program(path: Path, data: bytes) -> bytes:
    """The program without its guards, which are Python code that nothing here needs."""
    program = json.loads(data)
    for key, value in _entries(program):
        if key == "target" and isinstance(value, str) and not _OPERATORS.fullmatch(value):
            raise _refused(path, "calls something else than an ATen operation", value)
        if key == "expr_str" and not _SIZES.fullmatch(value):
            raise _refused(path, "holds a size that is no plain expression", value)
        if key in ("in_spec", "out_spec") and value:
            for inner, kind in _entries(json.loads(value)):
                if inner == "type" and kind not in _CONTAINERS:
                    raise _refused(path, "takes or returns objects", kind)
    program["guards_code"] = []
    return json.dumps(program).encode()


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values in nested JSON."""
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    for key, item in value.items() if isinstance(value, dict) else ():
        yield key, item
        yield from _entries(item)


def _refused(path: Path, what: str, found: object) -> ModelError:
    hint = "write a plain model with torch.export.save of torch 2.8 or later"
    return ModelError(f"the file {what}", where=str(path), found=found, hint=hint)

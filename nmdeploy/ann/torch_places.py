"""Where in a PyTorch model an exported call came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from textwrap import shorten
from typing import Any

_FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+), in [^\n]*(?:\n\s+(?P<code>[^\n]*))?')
_CODE_WIDTH = 60
_INSIDE_TORCH = re.compile(r"[/\\]torch[/\\](nn|fx|utils|_)")


@dataclass(frozen=True)
class Place:
    """One call of an exported model.

    Attributes:
        operation: the ATen operation without its overload and in-place mark (`relu`).
        path: the innermost module around it (`blocks.0.act`); empty for the model itself.
        classes: path and class name of every module around it, outermost first.
        is_layer: whether that module is one of torch's own layers.
        line: source file and line of the call, where known.
    """

    operation: str
    path: str
    classes: tuple[tuple[str, str], ...]
    is_layer: bool
    line: str

    @property
    def name(self) -> str:
        """What the graph calls the result: the layer's path, or the operation in its module."""
        if self.is_layer and self.path:
            return self.path
        return f"{self.path}.{self.operation}" if self.path else self.operation

    def __str__(self) -> str:
        if self.is_layer and self.path:
            return f"layer {self.path!r} (aten.{self.operation})"
        place = f" in {self.path!r}" if self.path else ""
        return f"aten.{self.operation}{place}" + (f" ({self.line})" if self.line else "")


def place_of(node: Any) -> Place:
    """The place of an fx node."""
    modules = [_module(entry) for entry in (node.meta.get("nn_module_stack") or {}).values()]
    path, module = modules[-1] if modules else ("", "")
    is_layer = module.startswith("torch.nn.modules.")
    classes = tuple((where, kind.rpartition(".")[2]) for where, kind in modules)
    return Place(operation_name(node.target), path, classes, is_layer, _source_line(node.meta.get("stack_trace")))


def operation_name(target: Any) -> str:
    """`add` for `torch.ops.aten.add_.Tensor`; other functions by their own name."""
    schema = getattr(target, "_schema", None)
    if schema is None:
        return str(getattr(target, "__name__", target))
    namespace, _, name = schema.name.partition("::")
    name = name.rstrip("_")
    return name if namespace == "aten" else f"{namespace}::{name}"


def _module(entry: tuple[str, Any]) -> tuple[str, str]:
    """Path and full class name; a class may stand there as such or by name."""
    path, kind = entry
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return re.sub(r"@\d+", "", path), name


def _source_line(trace: str | None) -> str:
    frames = [frame for frame in _FRAME.finditer(trace or "") if not _INSIDE_TORCH.search(frame["file"])]
    if not frames:
        return ""
    frame = frames[-1]
    # Traces come from other systems too: the name is what follows the last separator of either kind.
    file = PurePath(frame["file"].replace("\\", "/")).name
    code = shorten(frame["code"] or "", _CODE_WIDTH, placeholder=" ...")
    return f"{file}:{frame['line']}" + (f": {code}" if code else "")

"""Pieces of generated Python scripts: names, literals, indentation."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmdeploy.linear_maps import Array
from nmdeploy.network import Population


@dataclass(frozen=True)
class Script:
    """A generated script.

    Attributes:
        text: the Python source.
        arrays: the parameters that it loads, by name.
        keys: for each population, its name in the script: a Python identifier.
    """

    text: str
    arrays: Mapping[str, Array]
    keys: Mapping[str, str]


class Identifiers:
    """Python identifiers for a script's variables, no two alike.

    Args:
        taken: names that the script has for other things.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, name: str) -> str:
        """A new identifier as much like `name` as can be."""
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        plain = f"_{plain}" if not plain.isidentifier() or keyword.iskeyword(plain) else plain
        chosen, number = plain, 2
        while chosen in self._taken:
            chosen, number = f"{plain}_{number}", number + 1
        self._taken.add(chosen)
        return chosen


def quoted(name: str) -> str:
    """A name in double quotes, of one line, that can stand in a comment or a string."""
    return json.dumps(name)


def tuple_text(values: Sequence[object]) -> str:
    """A tuple as Python writes it, strings in double quotes."""
    shown = [quoted(value) if isinstance(value, str) else str(value) for value in values]
    return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"


def indented(lines: Iterable[str]) -> str:
    """Lines of a function's body."""
    return "\n".join(f"    {line}" if line else "" for line in lines).rstrip()


def shapes_text(keys: Mapping[str, str], populations: Iterable[Population]) -> str:
    """A dictionary of populations' shapes by their name in the script, an entry a line, as an argument of a call."""
    lines = [f"        {quoted(keys[each.name])}: {tuple_text(each.shape)},\n" for each in populations]
    return "{\n" + "".join(lines) + "    }"

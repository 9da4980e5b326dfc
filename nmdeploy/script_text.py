"""Generated folders: the frame of their Python script, its names, literals and indentation, and their README."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment

FRAME = Template('''\
"""$about"""

$imports

FOLDER = Path(__file__).resolve().parent
with np.load(FOLDER / "arrays.npz") as file:
    arrays = dict(file)


$build
    return {$returned}


NETWORK = Network(
$settings
)

if __name__ == "__main__":
    main(NETWORK, FOLDER)
''')
FRAME_NAMES = ("FOLDER", "NETWORK", "Network", "Path", "arrays", "build", "file", "main", "np")
"""Names that the frame has, or the imports below it must bring."""


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


def framed(
    network: Network, keys: Mapping[str, str], *, about: str, imports: str, build: str, settings: Mapping[str, object]
) -> str:
    """A script that loads its arrays, says how its network is built, and hands that to its driver.

    Args:
        network: what it builds.
        keys: by population, its name in the script.
        about: the script's docstring.
        imports: statements that bring `Path`, `np`, and the driver's `Network` and `main`.
        build: the function `build` but for its end, with each population of neurons in a variable of its key.
        settings: arguments of the driver's `Network` beside the network's shapes, latency and outputs.
    """
    neurons = [each for each in network.populations if each.neuron]
    given = {
        **settings,
        "inputs": shapes_text(keys, network.inputs),
        "neurons": shapes_text(keys, neurons),
        "latency": network.latency(),
        "outputs": tuple_text([keys[name] for name in network.outputs if not network[name].is_input]),
    }
    return FRAME.substitute(
        about=about,
        imports=imports,
        build=build,
        returned=", ".join(f'"{keys[each.name]}": {keys[each.name]}' for each in neurons),
        settings=indented(f"{name}={value}," for name, value in given.items()),
    )


def readme_text(template: str, deployment: Deployment, **more: object) -> str:
    """The README of a generated folder.

    Args:
        template: a text for `str.format`; it can ask for `title`, `chip`, `profile`, `semantics` and `latency`.
        deployment: what the folder holds.
        more: what else it asks for.
    """
    profile = deployment.profile
    return template.format(
        title=quoted(deployment.network.name)[1:-1],
        chip=deployment.chip,
        profile=profile.name,
        semantics="\n".join(f"- {aspect}: {rule}" for aspect, rule in profile.semantics),
        latency=deployment.network.latency(),
        **more,
    )


def keys_text(keys: Mapping[str, str]) -> str:
    """Populations and their names in the script, for a README."""
    return ", ".join(f"{quoted(name)} is `{key}`" for name, key in keys.items())

"""What the PyNN scripts have in common: sPyNNaker's, and that for plain simulators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import Generic, TypeVar

from nmdeploy.errors import FitError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.script_text import FRAME_NAMES, Identifiers, Script, framed, indented, quoted
from targets.spinnaker.rules import host_violations

Keys = Mapping[str, str]
"""By population, its name in the script."""
Arrays = dict[str, Array]
"""The parameters that the script loads, by name; writers of statements put theirs in."""
LOCAL_NAMES = (*FRAME_NAMES, "chip", "sim", "spikes", "import_module")
BUILD = Template('''\
def build(sim, spikes):
    """Make the populations and projections for one sample.

    Args:
        sim: PyNN's back end.
        spikes: by input, 0 or 1, `[T, *shape]`.

    Returns:
        $returns
    """
$populations

$projections''')

Writer = TypeVar("Writer")


@dataclass(frozen=True)
class Part(Generic[Writer]):
    """A part of a script's function `build`.

    Attributes:
        note: a comment above it.
        write: gives the statements for one population or projection.
    """

    note: str
    write: Writer

    def text(self, statements: Iterable[str]) -> str:
        """The part of these statements."""
        return indented([*self.note.splitlines(), *statements])


def pynn_script(
    network: Network,
    *,
    host: str,
    about: str,
    imports: str,
    returns: str,
    populations: Part[Callable[[Network, Population, Keys, Arrays], Iterable[str]]],
    projections: Part[Callable[[Network, Projection, Keys, Arrays, str], Iterable[str]]],
    settings: Mapping[str, object],
) -> Script:
    """The script of a lowered network.

    Args:
        network: the network.
        host: whose script it is, for errors.
        about: the script's docstring, a text for `str.format` that can ask for `title`.
        imports: as `nmdeploy.script_text.framed` takes them; `chip` is what the statements call.
        returns: what the script's `build` gives, a sentence.
        populations: the part that makes them.
        projections: the part that connects them; each is told a name of its own for its arrays.
        settings: arguments of the driver's `Network`.

    Raises:
        FitError: with everything that the chip's host code would compute differently.
    """
    found = host_violations(network)
    if found:
        raise FitError(host, found)
    names, arrays = Identifiers(LOCAL_NAMES), Arrays()
    keys = {population.name: names.new(population.name) for population in network.populations}
    made = [line for each in network.populations for line in populations.write(network, each, keys, arrays)]
    wired: list[str] = []
    for each in network.projections:
        variable = names.new(f"{keys[each.source]}_to_{keys[each.target]}")
        wired += projections.write(network, each, keys, arrays, variable)
    build = BUILD.substitute(returns=returns, populations=populations.text(made), projections=projections.text(wired))
    text = framed(
        network,
        keys,
        about=about.format(title=quoted(network.name)),
        imports=imports,
        build=build,
        settings={"chip": "chip", "build": "build", **settings},
    )
    return Script(text, arrays, keys)


def neurons_call(
    key: str, model: str, parameters: Mapping[str, Array], arrays: Arrays, options: Mapping[str, object] | None = None
) -> Iterator[str]:
    """The statement that makes a population of neurons.

    Args:
        key: the population's name in the script.
        model: the cell type, as `sim` names it.
        parameters: of the cells, by PyNN's name.
        arrays: take the parameters.
        options: what else `chip.neurons` is told.
    """
    yield f"{key} = chip.neurons("
    yield "    sim,"
    yield f"    sim.{model},"
    yield f'    "{key}",'
    yield "    {"
    for name, values in parameters.items():
        arrays[f"{key}.{name}"] = values
        yield f'        "{name}": arrays["{key}.{name}"],'
    yield "    },"
    yield from (f"    {name}={value}," for name, value in (options or {}).items())
    yield ")"

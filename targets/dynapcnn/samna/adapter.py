"""Copies a configuration, as it stands in `configuration.json`, into samna's configuration object.

Order, paths and types are those of the assignments that sinabs 3.1.3 makes
(`sinabs/backend/dynapcnn/chips/dynapcnn.py`): geometry and pairs are assigned as dicts,
arrays as lists, destinations entry by entry, everything else as int or bool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple["str | int", ...]
"""Attribute names and list indices, from the configuration object down."""
Tree = Mapping[str, Any]
SECTIONS = ("dvs_filter", "readout", "factory_config")
_LATER = ("pass_sensor_events", "destinations", "monitor_enable")


class Refused(Exception):
    """samna does not accept the configuration."""


def assignments(tree: Tree) -> Iterator[tuple[Path, Any]]:
    """Every value to assign with its path, in sinabs' order.

    The sensor is shut first; monitors come last. What the configuration holds besides the fields
    that sinabs writes follows the core or section it belongs to.
    """
    sensor = tree["dvs_layer"]
    yield ("dvs_layer", "pass_sensor_events"), False
    for core, layer in tree["cnn_layers"].items():
        yield from _of_core(int(core), layer)
    yield from _entries(("dvs_layer",), sensor, _LATER)
    yield from _destinations(("dvs_layer",), sensor["destinations"])
    if sensor["pass_sensor_events"]:
        yield ("dvs_layer", "pass_sensor_events"), True
    for section in SECTIONS:
        yield from _entries((section,), tree.get(section, {}))
    if "monitor_enable" in sensor:
        yield ("dvs_layer", "monitor_enable"), sensor["monitor_enable"]
    for core, layer in tree["cnn_layers"].items():
        if layer["monitor_enable"]:
            yield ("cnn_layers", int(core), "monitor_enable"), True


def _of_core(core: int, layer: Tree) -> Iterator[tuple[Path, Any]]:
    path: Path = ("cnn_layers", core)
    yield (*path, "dimensions"), layer["dimensions"]
    yield from _destinations(path, layer["destinations"])
    for where, value in _entries(path, layer, ("dimensions", "destinations")):
        yield where, False if where[-1] == "monitor_enable" else value


def _destinations(path: Path, destinations: list[Tree]) -> Iterator[tuple[Path, Any]]:
    for index, destination in enumerate(destinations):
        yield from _entries((*path, "destinations", index), destination)


def _entries(path: Path, tree: Tree, but: tuple[str, ...] = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in tree.items():
        if name not in but:
            yield (*path, name), value


def assign(target: Any, path: Path, value: Any) -> None:
    """Set what lies at `path` below `target`."""
    for part in path[:-1]:
        target = target[part] if isinstance(part, int) else getattr(target, part)
    setattr(target, str(path[-1]), value)


def samna_configuration(module: Any, kind: str, tree: Tree) -> Any:
    """The configuration as samna's own object, accepted by its validator.

    Args:
        module: samna's module of the chip (`samna.speck2f`).
        kind: name of its configuration class.
        tree: content of `configuration.json`.

    Raises:
        Refused: with the validator's message.
    """
    configuration = getattr(module.configuration, kind)()
    for path, value in assignments(tree):
        assign(configuration, path, value)
    accepted, message = module.validate_configuration(configuration)
    if not accepted:
        raise Refused(message)
    return configuration

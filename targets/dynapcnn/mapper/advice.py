"""Why a network has no placement, layer by layer, and smaller layers with which it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from nmdeploy.target import Violation
from targets.dynapcnn.layer import ChipLayer
from targets.dynapcnn.mapper.conflict import smallest_conflict
from targets.dynapcnn.mapper.split import Cores, most_below, widest
from targets.dynapcnn.memory import BIAS, KERNEL, NEURON, RESOURCES, LayerSize, Words, cores_for

WORDS = {KERNEL: "kernel words", NEURON: "neuron words", BIAS: "biases"}
"""The memories in words."""

Accepts = Callable[[LayerSize], bool]
Placeable = Callable[[Sequence[ChipLayer], Mapping[str, LayerSize], Cores], bool]


def refusals(found: Sequence[ChipLayer], cores: Cores, placeable: Placeable) -> list[Violation]:
    """Everything that keeps layers from their cores: those that fit none, else the smallest set that has too few.

    Args:
        found: the layers, for which there is no placement.
        cores: the chip's cores.
        placeable: whether the mapper in question finds a placement for the layers in other sizes.
    """
    sizes = {layer.name: LayerSize.of(layer) for layer in found}
    alone = [misfit(layer.name, sizes[layer.name], cores, layer.is_output) for layer in found]
    misfits = [violation for violation in alone if violation is not None]
    return misfits or _conflict(found, sizes, cores, placeable)


def misfit(name: str, size: LayerSize, cores: Cores, is_output: bool) -> Violation | None:
    """The violation of a layer that fits no single core; None when it fits one.

    Args:
        name: the layer.
        size: what counts for its memory.
        cores: the chip's cores.
        is_output: whether its channels are the network's outputs, which are not to be cut.
    """
    if cores_for(size.words, cores.memories):
        return None
    nearest, short = _shortage(size.words, cores.memories)
    what = " and ".join(WORDS[name] for name in short)
    missing = " and ".join(f"{amount:,} {WORDS[name]}" for name, amount in short.items())
    message = f"the layer fits no core, for its {what}; core {nearest} comes nearest, with {missing} too few"
    changes = _changes(size, lambda less: bool(cores_for(less.words, cores.memories)), is_output)
    hint = _either(changes)
    if cores.halved(size):
        hint += "; cut in two it would fit, had each of its sources two destinations for it and the other layers room"
    return Violation("DYN020", name, message, needs(size.words), needs(cores.memories[nearest]), hint)


def _shortage(needed: Words, memories: Sequence[Words]) -> tuple[int, dict[str, int]]:
    """The core that comes nearest, and how many words it lacks of each memory that is too small."""

    def excess(core: int) -> float:
        return max(needed[name] / memories[core][name] for name in RESOURCES)

    nearest = min(range(len(memories)), key=excess)
    has = memories[nearest]
    return nearest, {name: needed[name] - has[name] for name in RESOURCES if needed[name] > has[name]}


def _changes(size: LayerSize, accepts: Accepts, is_output: bool) -> list[str]:
    """Smaller layers that are accepted, in words: one change at a time, or two together where one is not enough.

    The channels of an output are the network's classes: fewer of them are told only where
    nothing else is enough.
    """
    single = [*([] if is_output else _narrower(size, accepts)), *_smaller(size, accepts)]
    if single:
        return single
    halved = _half_map(size)
    together = [f"{change} together with {_map_words(size)}" for change in _smaller_kernel(halved, accepts)]
    return together or _narrower(size, accepts)


def _narrower(size: LayerSize, accepts: Accepts) -> list[str]:
    channels = widest(size, accepts)
    return [f"{channels} instead of {size.output_shape[0]} channels"] if channels else []


def _smaller(size: LayerSize, accepts: Accepts) -> list[str]:
    """Smaller kernel, smaller map, fewer inputs."""
    found = _smaller_kernel(size, accepts)
    if _half_map(size) != size and accepts(_half_map(size)):
        found.append(f"{_map_words(size)} (twice the stride, or pooling before)")
    fewer = most_below(size.input_channels, lambda channels: accepts(replace(size, input_channels=channels)))
    return [*found, f"{fewer} instead of {size.input_channels} input channels"] if fewer else found


def _smaller_kernel(size: LayerSize, accepts: Accepts) -> list[str]:
    largest = max(size.kernel)
    fitting = (kernel for kernel in range(largest - 1, 0, -1) if accepts(replace(size, kernel=(kernel, kernel))))
    return [f"a kernel of {kernel} instead of {largest}" for kernel in islice(fitting, 1)]


def _half_map(size: LayerSize) -> LayerSize:
    filters, height, width = size.output_shape
    return replace(size, output_shape=(filters, -(-height // 2), -(-width // 2)))


def _map_words(size: LayerSize) -> str:
    _, height, width = size.output_shape
    return f"a map of {-(-height // 2)} x {-(-width // 2)} instead of {height} x {width}"


def _either(changes: Sequence[str]) -> str:
    return f"{', or '.join(changes)} would fit" if changes else "no smaller size of this layer alone is enough"


def _conflict(
    found: Sequence[ChipLayer], sizes: Mapping[str, LayerSize], cores: Cores, placeable: Placeable
) -> list[Violation]:
    """A violation for each layer of the smallest set that has too few cores."""
    fitting = [cores_for(sizes[layer.name].words, cores.memories) for layer in found]
    indices, held = smallest_conflict(fitting) or ([], [])
    members = [found[index] for index in indices]
    names = ", ".join(repr(layer.name) for layer in members)
    message = f"{len(members)} layers fit {len(held)} cores only: {names}"
    return [
        Violation(
            "DYN022",
            layer.name,
            message,
            needs(sizes[layer.name].words),
            "cores " + ", ".join(map(str, cores_for(sizes[layer.name].words, cores.memories))),
            _either(_changes(sizes[layer.name], _mappable(layer, found, sizes, cores, placeable), layer.is_output)),
        )
        for layer in members
    ]


def _mappable(
    changed: ChipLayer,
    found: Sequence[ChipLayer],
    sizes: Mapping[str, LayerSize],
    cores: Cores,
    placeable: Placeable,
) -> Accepts:
    """Whether the whole network has a placement when one layer gets another size, its targets fewer inputs.

    Targets whose sources share channels keep theirs: the other source has as many.
    """
    fed = {each.population for each in changed.destinations}
    own = [layer.name for layer in found if layer.name in fed and not _shares_channels(layer)]

    def accepts(size: LayerSize) -> bool:
        lost = sizes[changed.name].output_shape[0] - size.output_shape[0]
        tried = {**sizes, changed.name: size}
        for target in own:
            tried[target] = replace(tried[target], input_channels=tried[target].input_channels - lost)
        return placeable(found, tried, cores)

    return accepts


def _shares_channels(layer: ChipLayer) -> bool:
    return len({each.feature_shift for each in layer.sources}) < len(layer.sources)


def needs(words: Words) -> str:
    """What a layer takes, or a core has, in words."""
    return ", ".join(f"{words[name]:,} {WORDS[name]}" for name in RESOURCES if words[name])

"""What a core can compute: a convolution of one map, with sum-pooled events to two destinations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nmdeploy.network import Network
from nmdeploy.synapses import SumPool2d
from nmdeploy.target import Chip, Rule, Violation
from targets.dynapcnn.layer import SpeckNeuron
from targets.dynapcnn.link import Link, channel_blocks, link, links, same_geometry

_LOWER = "lower the network first (nmdeploy.deploy)"


def readable_links(network: Network) -> Iterator[Link]:
    """The projections that a core can carry out at all."""
    for projection in network.projections:
        found = link(network, projection)
        if found is not None:
            yield found


def known_layers(network: Network, chip: Chip) -> list[Violation]:
    """Every projection is pooling and one convolution (or dense layer)."""
    message, limit = "the chain of maps is no layer of the chip", "sum pools, then one convolution"
    return [
        Violation("DYN001", each.name, message, ", ".join(s.kind for s in each.synapses) or "no weights", limit, _LOWER)
        for each in network.projections
        if link(network, each) is None
    ]


def known_neurons(network: Network, chip: Chip) -> list[Violation]:
    """Every population has one of the chip's neurons: a core has no convolution without neurons."""
    return [
        Violation("DYN002", each.name, "not a neuron of the chip", each.neuron.kind, "dynapcnn.IAF", _LOWER)
        for each in network.populations
        if each.neuron is not None and not isinstance(each.neuron, SpeckNeuron)
    ]


def plain_projections(network: Network, chip: Chip) -> list[Violation]:
    """Projections have no delay, no exponent and no accumulator of their own."""
    found = []
    for each in network.projections:
        extras = [f"delay {each.delay}"] if each.delay else []
        extras += [f"exponent {each.exponent}"] if each.exponent else []
        extras += [f"accumulator of {each.accumulator.bits} bits"] if each.accumulator is not None else []
        if extras:
            message = "events arrive at once, and weights as they are"
            found.append(Violation("DYN003", each.name, message, ", ".join(extras), "none", _LOWER))
    return found


def square_kernels(network: Network, chip: Chip) -> list[Violation]:
    """Kernels are as high as wide."""
    found = []
    for each in readable_links(network):
        height, width = each.conv.weight.shape[2:]
        if height != width:
            hint = f"surround the kernel with zeros to {max(height, width)} x {max(height, width)}, with more padding"
            message = "the kernel is not square"
            found.append(Violation("DYN004", each.projection.name, message, f"{height} x {width}", None, hint))
    return found


def kernel_sizes(network: Network, chip: Chip) -> list[Violation]:
    """Kernels are at most 16 x 16."""
    limit = chip.limit("kernel_size")
    message, hint = (
        "the kernel is too large",
        f"two layers of smaller kernels, or a dense layer on at most {limit} x {limit}",
    )
    return [
        Violation("DYN005", each.projection.name, message, max(each.conv.weight.shape[2:]), limit, hint)
        for each in readable_links(network)
        if max(each.conv.weight.shape[2:]) > limit
    ]


def strides(network: Network, chip: Chip) -> list[Violation]:
    """Strides are 1, 2, 4 or 8."""
    allowed = powers_of_two(chip.limit("stride"))
    return [
        Violation(
            "DYN006", each.projection.name, "no such stride", stride, _listing(allowed), _nearest(stride, allowed)
        )
        for each in readable_links(network)
        for stride in sorted(set(each.conv.stride) - set(allowed))
    ]


def paddings(network: Network, chip: Chip) -> list[Violation]:
    """Padding is 0 to 7, the same on opposite sides."""
    found, limit = [], chip.limit("padding")
    for each in readable_links(network):
        top, bottom, left, right = each.conv.padding
        if max(each.conv.padding) > limit:
            hint = f"at most {limit}, which a kernel of {2 * limit + 1} needs to keep the map's size"
            found.append(
                Violation("DYN007", each.projection.name, "too much padding", max(each.conv.padding), limit, hint)
            )
        if (top, left) != (bottom, right):
            message, hint = "opposite sides are padded differently", "pad both sides alike"
            sides = f"top {top}, bottom {bottom}, left {left}, right {right}"
            found.append(Violation("DYN007", each.projection.name, message, sides, None, hint))
    return found


def no_groups(network: Network, chip: Chip) -> list[Violation]:
    """Convolutions have no groups: every input channel reaches every output channel."""
    hint = "write the layer as one convolution with zeros between the groups"
    return [
        Violation("DYN008", each.projection.name, "the chip's convolutions have no groups", each.conv.groups, 1, hint)
        for each in readable_links(network)
        if each.conv.groups > 1
    ]


def no_dilation(network: Network, chip: Chip) -> list[Violation]:
    """Kernels are not dilated."""
    found = []
    for each in readable_links(network):
        if each.conv.dilation != (1, 1):
            largest = max(each.conv.dilation) * (max(each.conv.weight.shape[2:]) - 1) + 1
            hint = f"write the gaps as zeros, in a kernel of {largest}"
            message = "the chip's kernels have no dilation"
            found.append(Violation("DYN009", each.projection.name, message, str(each.conv.dilation), 1, hint))
    return found


def pools(network: Network, chip: Chip) -> list[Violation]:
    """Events are sum-pooled by 1, 2 or 4, in square windows that lie side by side."""
    found, allowed = [], powers_of_two(chip.limit("pooling"))
    for each in readable_links(network):
        name, (vertical, horizontal) = each.projection.name, each.pooling
        if vertical != horizontal:
            message, hint = "pooling is not square", "pool alike in both directions"
            found.append(Violation("DYN010", name, message, f"{vertical} x {horizontal}", None, hint))
        elif vertical not in allowed:
            hint = _nearest(vertical, allowed)
            found.append(Violation("DYN010", name, "no such pooling", vertical, _listing(allowed), hint))
        found += [violation for pool in each.pools for violation in _untiled(name, pool)]
    return found


def _untiled(name: str, pool: SumPool2d) -> Iterator[Violation]:
    if pool.steps != pool.kernel:
        message, hint = "pooling windows overlap or leave gaps", "a stride as large as the window"
        yield Violation("DYN010", name, message, f"window {pool.kernel}, stride {pool.steps}", None, hint)
    if any(pool.padding):
        message, hint = "pooling reaches beyond the map", "pool without padding (ceil_mode=False)"
        yield Violation("DYN010", name, message, f"padding {pool.padding}", 0, hint)


def input_maps(network: Network, chip: Chip) -> list[Violation]:
    """A core sees maps of at most 128 x 128."""
    return _oversize(network, "DYN011", "the map a core receives is too large", chip.limit("input_size"), received=True)


def output_maps(network: Network, chip: Chip) -> list[Violation]:
    """A core has neurons for at most 64 x 64 pixels, before pooling."""
    return _oversize(network, "DYN012", "the map of neurons is too large", chip.limit("output_size"), received=False)


def _oversize(network: Network, code: str, message: str, limit: int, *, received: bool) -> list[Violation]:
    """Maps beyond the limit, each told once."""
    found = {}
    for each in readable_links(network):
        _, height, width = each.received if received else each.made
        if max(height, width) > limit:
            where = each.projection.name if received else each.projection.target
            hint = "pool before, or crop the input" if received else "a larger stride, less padding, or pooling before"
            found[where] = Violation(code, where, message, f"{height} x {width}", f"{limit} x {limit}", hint)
    return list(found.values())


def channel_counts(network: Network, chip: Chip) -> list[Violation]:
    """A core receives at most 1024 channels, of all sources together, and has at most 1024."""
    found, limit = [], chip.limit("channels")
    for population, entering in layers_of_links(network):
        hint = "a layer of fewer channels"
        received = input_channels(entering)
        if received > limit:
            found.append(Violation("DYN013", population, "too many input channels", received, limit, hint))
        if entering[0].made[0] > limit:
            found.append(Violation("DYN013", population, "too many channels", entering[0].made[0], limit, hint))
    return found


def layers_of_links(network: Network) -> Iterator[tuple[str, list[Link]]]:
    """The populations all of whose projections a core can carry out, with these."""
    for population in network.populations:
        entering = [] if population.is_input else links(network, population.name)
        if entering:
            yield population.name, entering


def destinations(network: Network, chip: Chip) -> list[Violation]:
    """A core sends its events to at most two others."""
    limit = chip.limit("destinations")
    hint = "let one of the targets pass its events on, or read a copy of the layer on another core"
    return [
        Violation("DYN014", each.name, "too many destinations", len(network.out_of(each.name)), limit, hint)
        for each in network.populations
        if not each.is_input and len(network.out_of(each.name)) > limit
    ]


def agreeing_sources(network: Network, chip: Chip) -> list[Violation]:
    """All that enters a core comes through kernels of one size, padding and stride, from maps of one size."""
    found = []
    for population, entering in layers_of_links(network):
        if not same_geometry(entering):
            told = "; ".join(
                f"{each.projection.source}: map {each.received[1]} x {each.received[2]}, "
                f"kernel {' x '.join(map(str, each.conv.weight.shape[2:]))}, stride {each.conv.stride}, "
                f"padding {each.conv.padding}"
                for each in entering
            )
            hint = "bring the maps to one size by pooling, the kernels by zeros around the smaller ones"
            message = "a core has one kernel size, stride, padding and input map for all its sources"
            found.append(Violation("DYN015", population, message, told, None, hint))
    return found


def input_channels(entering: Sequence[Link]) -> int:
    """Channels of a core that receives all these links."""
    return sum(each.received[0] for each in channel_blocks(entering)[1])


def powers_of_two(largest: int) -> list[int]:
    """1, 2, 4, ... up to `largest`."""
    return [1 << exponent for exponent in range(largest.bit_length())]


def _listing(allowed: Sequence[int]) -> str:
    return ", ".join(map(str, allowed))


def _nearest(value: int, allowed: Sequence[int]) -> str:
    return f"{min(allowed, key=lambda each: abs(each - value))} is the nearest"


RULES: tuple[Rule, ...] = (
    known_layers,
    known_neurons,
    plain_projections,
    square_kernels,
    kernel_sizes,
    strides,
    paddings,
    no_groups,
    no_dilation,
    pools,
    input_maps,
    output_maps,
    channel_counts,
    destinations,
    agreeing_sources,
)

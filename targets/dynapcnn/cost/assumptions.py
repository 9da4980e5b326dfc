"""What the cost of an inference takes for granted or leaves out, and what others measured."""

from __future__ import annotations

from collections.abc import Iterator

from nmdeploy.target import Chip, Figure

_LATENCY = (
    "Each event is taken to occupy its core for {:g} us, so that a core takes {:,.0f} events a second: the published "
    "latency of one layer with a 3x3 kernel ({}, {}); larger layers take longer, and nothing is published of them."
)
_TIME = "Time: at least the events of the busiest core one after the other, at most those of all cores."
_BUSIEST = (
    "The busiest step is the fullest of the run, not a mean. A step must last longer than its events take, or the "
    "core falls behind; the chip then stalls and behaves unpredictably (sinabs 3.1.3, docs/speck/faqs)."
)
_NO_STEPS = "The run did not keep every step, so its busiest one is not known."
_DEPTH = "One event through nine layers takes {:g} us ({}, {})."
_OPERATIONS = "Time of synaptic operations: at the published peak of {:g} million a second ({}, {})."
_NO_ENERGY = (
    "Energy: nobody has published that of a synaptic operation. Give your own figure with "
    "`nmdeploy report --pj-per-operation`."
)
_POWER = "Power of a whole chip, published of other networks and conditions: {} ({})."


def assumptions(chip: Chip, *, known_steps: bool) -> tuple[str, ...]:
    """The sentences that belong to a cost.

    Args:
        chip: the chip, whose figures they quote with source and status.
        known_steps: whether the run kept every spike of every step.
    """
    return tuple(_told(chip, known_steps))


def _told(chip: Chip, known_steps: bool) -> Iterator[str]:
    figures = chip.figures
    if "one_layer_latency" in figures:
        latency, source, status = _quoted(figures["one_layer_latency"])
        yield _LATENCY.format(latency, 1e6 / latency, source, status)
        yield _TIME
        yield _BUSIEST if known_steps else _NO_STEPS
    if "nine_layer_latency" in figures:
        yield _DEPTH.format(*_quoted(figures["nine_layer_latency"]))
    if "peak_synaptic_rate" in figures:
        yield _OPERATIONS.format(*_quoted(figures["peak_synaptic_rate"]))
    yield _NO_ENERGY
    yield from (_POWER.format(", ".join(told), source) for source, told in _powers(chip).items())


def _quoted(figure: Figure) -> tuple[float, str, str]:
    return figure.value, figure.source, figure.status.value


def _powers(chip: Chip) -> dict[str, list[str]]:
    """What was measured of whole chips, by source and status; a least and a most of the same are told together."""
    powers = {name.removesuffix("_power"): each for name, each in chip.figures.items() if name.endswith("_power")}
    found: dict[str, list[str]] = {}
    for name, figure in powers.items():
        end, _, what = name.partition("_")
        most = powers.get(f"most_{what}") if end == "least" else None
        if end == "most" and f"least_{what}" in powers:
            continue
        amount = f"{figure.value:g}" if most is None else f"{figure.value:g} to {most.value:g}"
        words = (name if most is None else what).replace("_", " ")
        found.setdefault(f"{figure.source}, {figure.status.value}", []).append(f"{words} {amount} mW")
    return found

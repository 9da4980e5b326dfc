"""Populations that take excitation and inhibition apart, for kernels that can add both up as one signed sum."""

from __future__ import annotations

from collections.abc import Sequence

from nmdeploy.emulator.widths import Part
from nmdeploy.network import Projection
from quantize import Bound

Halves = tuple[Part, ...]


def largest_sum(entering: Sequence[Halves]) -> int:
    """No sum of one sign, over all projections of a population, is larger in magnitude."""
    return max((sum(half.delivered.magnitude for half in each) for each in zip(*entering, strict=True)), default=0)


def together(entering: Sequence[Halves], projections: Sequence[Projection]) -> tuple[Halves, ...] | None:
    """The projections as they are, excitation less inhibition; None where the halves have to be scaled apart.

    Args:
        entering: both halves of every projection.
        projections: the same, whole.
    """
    halves = [half for each in entering for half in each]
    if not all(_is_linear(half) for half in halves):
        return None
    return tuple((_whole(each, projection),) for each, projection in zip(entering, projections, strict=True))


def _is_linear(half: Part) -> bool:
    """Whether what is delivered is the sum of weights, with nothing cut off or rounded."""
    form = half.projection.accumulator
    return half.projection.exponent >= 0 and (form is None or half.scaled.interval.fits(form))


def _whole(halves: Halves, projection: Projection) -> Part:
    exc, inh = (half.scaled for half in halves)
    bound = Bound(exc.lower - inh.upper, exc.upper - inh.lower, max(exc.magnitude, inh.magnitude))
    return Part(projection, max(half.magnitude for half in halves), bound)

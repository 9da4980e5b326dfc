"""Placing a lowered network: slices, what each takes of its core and chip, and the chips they go to."""

from targets.spinnaker.mapper.placing import place

__all__ = ["place"]

"""SynSense's DYNAP-CNN family: Speck2e, Speck2f, and the DYNAP-CNN development kit."""

from targets.dynapcnn.target import DynapcnnTarget

TARGET = DynapcnnTarget()

__all__ = ["TARGET"]

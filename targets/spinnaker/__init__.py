"""SpiNNaker 1 through sPyNNaker."""

from targets.spinnaker.target import SpinnakerTarget

TARGET = SpinnakerTarget()

__all__ = ["TARGET"]

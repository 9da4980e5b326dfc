"""Recordings of sPyNNaker's binaries replayed: neurons, exponential, address rules, nets."""

from targets.spinnaker.conformance.replay import conformance

__all__ = ["conformance"]

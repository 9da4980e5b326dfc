"""Recordings of sinabs replayed: `vectors` reads them, `networks` rebuilds the nets, `replay` runs and compares."""

from targets.dynapcnn.conformance.replay import conformance

__all__ = ["conformance"]

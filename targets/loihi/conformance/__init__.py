"""Recordings of Lava replayed: `vectors` reads them, `replay` runs and compares, `common_range` judges each run."""

from targets.loihi.conformance.replay import conformance

__all__ = ["conformance"]

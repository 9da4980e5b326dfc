"""The recorded exponential: e**(-n / 32768) as an accum, `expk_neg[n]`, and as a 32-bit fraction, `expulr_neg[n]`."""

from __future__ import annotations

import numpy as np

from nmdeploy.conformance import ConformanceReport
from targets.spinnaker.conformance.vectors import Vectors
from targets.spinnaker.exponential import exp_accum, exp_fraction

RECORDED = {"expk_neg": exp_accum, "expulr_neg": exp_fraction}
"""A file with one of these arrays holds tables."""


def replay_tables(report: ConformanceReport, vectors: Vectors) -> None:
    """Compare every entry of every table in the file."""
    for name in RECORDED.keys() & vectors.arrays.keys():
        expected = vectors.integers(name, None)
        found = RECORDED[name](-np.arange(len(expected)))
        report.compare_values(vectors.file, name, "entry", expected, found)

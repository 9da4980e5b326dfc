"""Measuring how fast this machine emulates a deployment, and where the time goes."""

from nmdeploy.bench.measure import Benchmark, Layer, bench
from nmdeploy.bench.render import as_plain, render_bench

__all__ = ["Benchmark", "Layer", "as_plain", "bench", "render_bench"]

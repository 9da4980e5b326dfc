"""Start-up: seconds of `import nmdeploy`, and of the first emulation after it, each in a fresh interpreter.

    python -m benchmarks.startup --repeats 20

The first emulation is a call with 100 steps of one image of a 784-500-10 network. Making
its random weights is not counted; loading what an emulation needs, preparing the network
and running it are. On a busy machine the processor's seconds say more than the clock's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from nmdeploy.machine import this_machine
from nmdeploy.report.summary import Row, table

PROBE = """
import json
from contextlib import contextmanager
from time import perf_counter, process_time

seconds = {}

@contextmanager
def timed(stage):
    wall, cpu = perf_counter(), process_time()
    yield
    seconds[stage] = (perf_counter() - wall, process_time() - cpu)

with timed("import nmdeploy"):
    import nmdeploy
with timed("then import numpy"):
    import numpy
with timed("then import networks, neurons, synapses"):
    from nmdeploy.network import Network, Population, Projection
    from nmdeploy.neurons import IF
    from nmdeploy.synapses import Dense

generator = numpy.random.Generator(numpy.random.PCG64(0))
sizes, names = (784, 500, 10), ("input", "hidden", "output")
weights = [generator.integers(-127, 128, pair, dtype=numpy.int8) for pair in zip(sizes[1:], sizes)]
populations = [Population("input", (784,))]
populations += [Population(name, (size,), IF(500)) for name, size in zip(names[1:], sizes[1:])]
projections = [Projection(a, b, (Dense(w),)) for a, b, w in zip(names, names[1:], weights)]
network = Network("start-up", tuple(populations), tuple(projections))
spikes = (generator.random((100, 1, 784)) < 0.1).astype(numpy.uint8)

with timed("then the first emulation"):
    first = nmdeploy.emulate(network, spikes)
with timed("the same emulation again"):
    nmdeploy.emulate(network, spikes)
print(json.dumps({"engine": first.origin, "seconds": seconds}))
"""


def probe() -> tuple[str, dict[str, tuple[float, float]]]:
    """The engine that ran, and the seconds of each stage in a fresh interpreter: of the clock and the processor."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["engine"], {stage: (wall, cpu) for stage, (wall, cpu) in found["seconds"].items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args(arguments)
    probe()  # so that the files are in the system's cache and compiled to bytecode
    probes = [probe() for _ in range(options.repeats)]
    rows: list[Row] = []
    for stage in probes[0][1]:
        wall = [seconds[stage][0] for _, seconds in probes]
        cpu = [seconds[stage][1] for _, seconds in probes]
        figures = (statistics.median(cpu), statistics.median(wall), min(wall), max(wall))
        rows.append((stage, *(f"{figure:.3f}" for figure in figures)))
    print(f"measured: seconds, n = {options.repeats} fresh interpreters, {probes[0][0]}")
    print(f"on: {this_machine()}")
    print(table(("stage", "CPU, median", "clock, median", "least", "most"), rows))


if __name__ == "__main__":
    main()

"""Measurements of nmdeploy, each a command: `python -m benchmarks.emulator --help`, from the repository's root.

Libraries of linear algebra are held to one thread before numpy is imported, so that a
CPU time is that of one thread unless a benchmark says otherwise.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

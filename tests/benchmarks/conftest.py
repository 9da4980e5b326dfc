"""The benchmarks are a folder beside the packages, not an installed package."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """`import benchmarks` works, and leaves neither threads nor environment changed."""
    monkeypatch.syspath_prepend(str(ROOT))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    yield
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(torch.get_num_interop_threads())

"""Shared fixtures: where the measurement data is, and hypothesis' settings."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "nmdeploy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
    # The same examples in every CI run, so that a change is judged by what it changed; other examples at every desk.
    derandomize="CI" in os.environ,
)
settings.load_profile("nmdeploy")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of measurement data: NMDEPLOY_SHARED, or `shared` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("NMDEPLOY_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no measurement data in {folder} (set NMDEPLOY_SHARED)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.Generator(np.random.PCG64(20261121))

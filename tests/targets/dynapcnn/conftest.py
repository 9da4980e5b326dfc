"""Networks small enough for the stand-in's boards, and the stand-in for samna itself (`fake_samna/`)."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d

FAKE = Path(__file__).with_name("fake_samna")
STEPS = 6


def chain(rng, v_init=0):
    """Two convolutions with a pool between them, and a dense layer of 3."""
    return Network(
        "chain",
        (
            Population("image", (2, 6, 6), maximum=3),
            Population("conv", (4, 6, 6), IF(60, v_init=v_init, v_min=-60)),
            Population("deep", (3, 2, 2), IF(70, reset="zero", v_min=-20)),
            Population("out", (3,), IF(50, v_min=-50)),
        ),
        (
            Projection("image", "conv", (Conv2d(rng.integers(-20, 40, (4, 2, 3, 3)), padding=1),)),
            Projection("conv", "deep", (SumPool2d(2), Conv2d(rng.integers(-20, 50, (3, 4, 2, 2))))),
            Projection("deep", "out", (Reshape((12,)), Dense(rng.integers(-20, 50, (3, 12))))),
        ),
    )


def branch(rng):
    """One layer that feeds two outputs."""
    return Network(
        "branch",
        (
            Population("image", (1, 4, 4)),
            Population("conv", (2, 4, 4), IF(40, v_min=-40)),
            Population("left", (2, 2, 2), IF(50, v_min=-40)),
            Population("right", (3,), IF(50, v_min=-40)),
        ),
        (
            Projection("image", "conv", (Conv2d(rng.integers(-10, 40, (2, 1, 3, 3)), padding=1),)),
            Projection("conv", "left", (SumPool2d(2), Conv2d(rng.integers(-10, 50, (2, 2, 1, 1))))),
            Projection("conv", "right", (Reshape((32,)), Dense(rng.integers(-20, 40, (3, 32))))),
        ),
        outputs=("left", "right"),
    )


def wide(rng, v_init=0):
    """An output wider than high: nobody has published where its potentials lie."""
    return Network(
        "wide",
        (Population("image", (1, 2, 8)), Population("out", (2, 2, 8), IF(60, v_init=v_init, v_min=-60))),
        (Projection("image", "out", (Conv2d(rng.integers(10, 40, (2, 1, 3, 3)), padding=1),)),),
    )


def spikes_for(network, rng, samples=2):
    """Counts of events for a network's one input."""
    source = network.inputs[0]
    return rng.integers(0, source.maximum + 1, (STEPS, samples, *source.shape)).astype(np.uint8)


@pytest.fixture(scope="session")
def nets():
    """Makers of networks, and of input for them."""
    return SimpleNamespace(chain=chain, branch=branch, wide=wide, spikes_for=spikes_for, steps=STEPS)


@pytest.fixture
def calls(tmp_path):
    """What the stand-in was asked to do."""
    return lambda: (tmp_path / "calls.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def samna_in_children(monkeypatch, tmp_path):
    """Makes the stand-in importable in children; called with its settings."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKE), *filter(None, [os.environ.get("PYTHONPATH")])]))

    def settings(**entries):
        monkeypatch.setenv("FAKE_SAMNA", json.dumps({"log": str(tmp_path / "calls.txt"), **entries}))

    settings()
    return settings


@pytest.fixture
def samna_here(monkeypatch, tmp_path):
    """The stand-in as this process's samna; called with its settings, it returns the module."""

    def settings(**entries):
        monkeypatch.setenv("FAKE_SAMNA", json.dumps({"log": str(tmp_path / "calls.txt"), **entries}))
        found = importlib.util.spec_from_file_location("samna", FAKE / "samna" / "__init__.py")
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "samna", module)
        return module

    return settings

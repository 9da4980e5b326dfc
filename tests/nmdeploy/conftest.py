"""A small deployment with everything in it, for the tests of bundles and reports."""

import numpy as np
import pytest

from nmdeploy.bundle import make_vectors
from nmdeploy.coding import DeterministicRate, SpikeCount
from nmdeploy.cost import Cost, CostItem, Range, exactly
from nmdeploy.deployment import CoreLoad, Deployment, Placement
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.report import Accuracy, Activity, accuracy_figures
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Profile, Severity, Status, Violation
from quantize import IntegerFormat, Overflow

STEPS = 8


def make_network() -> Network:
    generator = np.random.Generator(np.random.PCG64(7))
    kernel = generator.integers(-9, 20, (2, 1, 3, 3)).astype(np.int8)
    weights = generator.integers(-90, 120, (3, 8)).astype(np.int16)
    potential = IntegerFormat(24, True, Overflow.SATURATE)
    return Network(
        "small",
        (
            Population("in", (1, 6, 6)),
            Population("conv", (2, 4, 4), IF(np.array([[[20]], [[25]]]), potential=potential), potential_scale=0.25),
            Population("dead", (3,), IF(1_000_000)),
            Population("out", (3,), IF(100, reset="zero", fire=">", v_min=-300)),
        ),
        (
            Projection("in", "conv", (Conv2d(kernel),), delay=1),
            Projection("conv", "out", (SumPool2d((2, 2)), Reshape((8,)), Dense(weights)), 1, 1, IntegerFormat(16)),
            Projection("out", "dead", (), delay=1),
            Projection("dead", "out", (), delay=1),
        ),
        outputs=("out",),
        notes=("batch-norm folded into conv",),
    )


def make_placement() -> Placement:
    return Placement(
        "toy1",
        (
            CoreLoad(0, 0, "conv", np.arange(20), {"neurons": 20, "words": 64}),
            CoreLoad(0, 1, "conv", np.arange(20, 32), {"neurons": 12, "words": 40}),
            CoreLoad(0, 1, "out", np.arange(3), {"neurons": 3, "words": 24}),
            CoreLoad(1, 0, "dead", np.arange(3), {"neurons": 3, "words": 0}),
        ),
        {"neurons": 32, "words": 80},
        ("in",),
    )


def make_cost() -> Cost:
    return Cost(
        "toy1",
        "emulated (numpy engine)",
        samples=5,
        steps=10,
        items=(
            CostItem(
                "synaptic operations in->conv",
                Range(900.4, 928.8),
                Range(900.4e-12, 928.8e-12),
                Range(1.8e-6, 1.86e-6),
                "Toys 2020, table 1",
                Status.PRE_SILICON,
            ),
            CostItem("barriers", exactly(10), None, exactly(2.5e-6), "Toys 2020, table 1", Status.PAPER),
            CostItem("spikes between chips", exactly(42.6)),
            CostItem("static power", None, Range(3e-9, 4e-9), None, "Toys 2021", Status.ESTIMATE),
        ),
        energy=Range(3.9004e-9, 4.9288e-9),
        time=Range(3e-6, 4e-6),
        assumptions=("Toys are never wound up.",),
    )


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """A deployment to a chip that no target has, with vectors and figures."""
    network = make_network()
    images = np.random.Generator(np.random.PCG64(8)).random((5, 1, 6, 6))
    spikes = {"in": DeterministicRate().encode(images, STEPS)}
    run = emulate(network, spikes, record=Recording(counts=("*",)), engine="numpy")
    stages = [
        Accuracy("chip", 190, 200, ties=3, steps=STEPS, on="test images"),
        Accuracy("ANN", 196, 200, kind="measured", on="test images"),
    ]
    made = Deployment(
        network,
        "toy",
        "toy1",
        Profile("toy/plain", (("fire", "v > threshold"), ("overflow", "saturate | raise"))),
        make_placement(),
        remarks=(Violation("TOY001", "out", "reset changed to zero", None, "zero", "retrain", Severity.WARNING),),
        encoder=DeterministicRate(),
        readout=SpikeCount(),
        steps=STEPS,
        figures={
            **accuracy_figures(stages),
            "activity": Activity.of(run, network).figure(),
            "cost": make_cost().figure(),
        },
        provenance={"seed": "0", "nmdeploy": "0.1.0"},
    )
    return make_vectors(made, spikes)

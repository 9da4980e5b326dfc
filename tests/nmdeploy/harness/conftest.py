"""A bundle, and a backend that is the emulator under another name, with faults to order."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import Availability, Backend
from nmdeploy.bundle import make_vectors
from nmdeploy.emulator.result import DEFAULT_RECORDING
from nmdeploy.errors import RunError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.registry import targets
from nmdeploy.synapses import Dense


class Toy(Backend):
    """Answers as the emulator does; `fault` changes that."""

    def __init__(self, name, settings, fault):
        self.name, self.settings, self.fault, self.runs = name, settings, fault, 0

    def availability(self):
        if self.fault == "absent":
            return Availability(False, f"no {self.name} anywhere", "buy one")
        return Availability(True, f"Toy {self.name} 1.0 ({self.settings.board or 'first found'})")

    def run(self, deployment, inputs, *, steps=None, record=DEFAULT_RECORDING, progress=None):
        self.runs += 1
        if self.fault == "broken":
            raise RunError("the cable fell out", where=self.name)
        if self.fault == "outputs only" and record.potentials:
            raise UsageError("cannot be recorded on a board")
        network = deployment.network
        if self.fault in ("late", "outputs only"):
            network = replace(
                network, projections=tuple(replace(each, delay=each.delay + 1) for each in network.projections)
            )
        result = nm.emulate(network, inputs, steps=steps, record=record)
        if self.fault == "moody" and self.runs == 1:
            spikes = {name: values.copy() for name, values in result.spikes.items()}
            spikes["out"][0, 0, 0] ^= 1
            result = replace(result, spikes=spikes)
        return replace(result, origin=f"run by Toy {self.name}")


@pytest.fixture
def toy(rng):
    network = Network(
        "toy",
        (Population("in", (9,)), Population("out", (4,), IF(60, reset="zero"))),
        (Projection("in", "out", (Dense(rng.integers(-20, 60, (4, 9))),)),),
    )
    made = nm.deploy(network, "loihi1", steps=12)
    return make_vectors(made, (rng.random((12, 2, 9)) < 0.5).astype(np.uint8))


@pytest.fixture
def bundle(toy, tmp_path):
    path = tmp_path / "toy.nmd"
    nm.save(toy, path)
    return path


@pytest.fixture
def backends(monkeypatch):
    """Sets the backends of the family: `backends(board="absent", vendor=None)`, faults by name."""

    def put(**faults):
        def made(_self, settings):
            return {name: Toy(name, settings, fault) for name, fault in faults.items()}

        monkeypatch.setattr(type(targets()["loihi"]), "backends", made)

    return put

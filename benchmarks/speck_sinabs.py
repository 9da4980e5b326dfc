"""Runs the sinabs tutorial's network with sinabs itself; see `speck_mnist.py`, which starts it in a process of its own.

    python speck_sinabs.py WEIGHTS FOLDER

FOLDER has `spikes.npz`; it gets `counts.npz` (`float`, `integers`: output spikes `[N, 10]`) and `facts.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from sinabs.backend.dynapcnn import DynapcnnNetwork
from sinabs.from_torch import from_model
from torch import nn

BATCH = 20


def tutorial() -> nn.Sequential:
    """The network of the tutorial."""

    def stage(before: int, after: int, side: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, side, bias=False), nn.ReLU(), nn.AvgPool2d(2)]

    head = [nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    return nn.Sequential(*stage(1, 20, 5), *stage(20, 32, 5), *stage(32, 128, 3), *head)


def spiking(weights: Path) -> Any:
    """A fresh spiking network, as the tutorial makes it."""
    ann = tutorial()
    ann.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    return from_model(ann, input_shape=(1, 28, 28), batch_size=BATCH, add_spiking_output=True).spiking_model


def counts_of(network: nn.Module, spikes: np.ndarray) -> tuple[np.ndarray, float]:
    """Output spike counts, every sample from a fresh state, and the seconds they took."""
    steps, samples = spikes.shape[:2]
    found, began = [], perf_counter()
    for start in range(0, samples, BATCH):
        part = spikes[:, start : start + BATCH]
        padded = np.zeros((steps, BATCH, *part.shape[2:]), np.float32)
        padded[:, : part.shape[1]] = part
        for module in network.modules():
            if hasattr(module, "v_mem"):
                module.v_mem = torch.zeros_like(module.v_mem)  # its own reset fails on states that are views
        with torch.no_grad():
            # Samples first, then steps: IAFSqueeze splits by batch_size.
            out = network(torch.from_numpy(padded.swapaxes(0, 1).reshape(-1, *part.shape[2:]).copy()))
        out = out.reshape(BATCH, steps, -1).sum(1)
        found.append(out[: part.shape[1]].round().numpy().astype(np.int64))
    return np.concatenate(found), perf_counter() - began


def main() -> None:
    """Run it."""
    weights, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with np.load(folder / "spikes.npz") as file:
        spikes = file["spikes"]
    found: dict[str, np.ndarray] = {}
    found["float"], float_seconds = counts_of(spiking(weights), spikes)
    network = DynapcnnNetwork(spiking(weights), input_shape=(1, 28, 28), batch_size=BATCH, discretize=True)
    found["integers"], integers_seconds = counts_of(network, spikes)
    network.make_config(device="speck2fdevkit:0")
    cores = [network.layer2core_map[layer] for layer in sorted(network.layer2core_map)]
    np.savez(folder / "counts.npz", **found)  # type: ignore[arg-type]
    facts = {"cores": cores, "float_seconds": float_seconds, "integers_seconds": integers_seconds}
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()

"""nmdeploy: from a trained neural network to a neuromorphic chip, every bit known.

The names below are loaded when first used, so that `import nmdeploy` stays light.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmdeploy.ann.from_torch import from_torch
    from nmdeploy.bundle import load, save
    from nmdeploy.convert.calibrate import calibrate
    from nmdeploy.convert.finetune import finetune
    from nmdeploy.convert.integers import to_integers
    from nmdeploy.convert.spiking import to_spiking
    from nmdeploy.deployment import deploy
    from nmdeploy.emulator.run import emulate
    from nmdeploy.emulator.simulate import simulate
    from nmdeploy.inference import infer
    from nmdeploy.registry import chip, targets

__version__ = version("nmdeploy")

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "calibrate": "nmdeploy.convert.calibrate",
    "chip": "nmdeploy.registry",
    "deploy": "nmdeploy.deployment",
    "emulate": "nmdeploy.emulator.run",
    "finetune": "nmdeploy.convert.finetune",
    "from_torch": "nmdeploy.ann.from_torch",
    "infer": "nmdeploy.inference",
    "load": "nmdeploy.bundle",
    "save": "nmdeploy.bundle",
    "simulate": "nmdeploy.emulator.simulate",
    "targets": "nmdeploy.registry",
    "to_integers": "nmdeploy.convert.integers",
    "to_spiking": "nmdeploy.convert.spiking",
}

__all__ = [
    "__version__",
    "calibrate",
    "chip",
    "deploy",
    "emulate",
    "finetune",
    "from_torch",
    "infer",
    "load",
    "save",
    "simulate",
    "targets",
    "to_integers",
    "to_spiking",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nmdeploy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

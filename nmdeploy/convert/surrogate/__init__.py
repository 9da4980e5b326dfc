"""Fine-tuning with the chip in the loop: the chip's spikes in the forward pass, a clipped ReLU in the backward pass.

Needs torch (the extra `torch`). `train_on_chip` trains a float spiking network,
`train_stages` what the pipeline built.
"""

from nmdeploy.convert.surrogate.stages import train_stages
from nmdeploy.convert.surrogate.train import train_on_chip
from nmdeploy.convert.surrogate.trained import Epoch, TrainedOnChip

__all__ = ["Epoch", "TrainedOnChip", "train_on_chip", "train_stages"]

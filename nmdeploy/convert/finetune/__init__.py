"""Fine-tuning for exact mode: training sees the levels, the weights and the input that the chip has."""

from nmdeploy.convert.finetune.finish import FineTuned, finish
from nmdeploy.convert.finetune.prepare import prepare
from nmdeploy.convert.finetune.train import Epoch, finetune

__all__ = ["Epoch", "FineTuned", "finetune", "finish", "prepare"]

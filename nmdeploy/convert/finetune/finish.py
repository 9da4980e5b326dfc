"""From a trained, quantized network back to a plain one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.errors import UsageError

if TYPE_CHECKING:
    from nmdeploy.convert.finetune.modules import Prepared
    from nmdeploy.convert.finetune.train import Epoch
    from nmdeploy.pipeline import Recipe


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A network after fine-tuning.

    Attributes:
        model: plain layers: weights on their grid, activations `nn.Hardtanh(0, bound)`, no batch norm;
            in inference mode. `from_torch` imports it.
        prepared: the network as it was trained, with its quantized forward pass.
        bounds: lambda of each activation, by its path in the model.
        levels: L.
        weight_bits: bits of a weight.
        input_steps: T that training saw; None for a real-valued input.
        input_range: the inputs that mean rate 0 and rate 1.
        history: one `Epoch` after the other; empty after a trainer of your own.
    """

    model: Any
    prepared: Prepared
    bounds: dict[str, float]
    levels: int
    weight_bits: int
    input_steps: int | None
    input_range: tuple[float, float]
    history: tuple[Epoch, ...] = ()

    def recipe(self, **changes: Any) -> Recipe:
        """The recipe that deploys it: exact mode, its levels, bounds, range, and the steps that training saw.

        Args:
            changes: other fields of `Recipe`, or other values.
        """
        from nmdeploy.pipeline import EXACT, Recipe

        low, high = self.input_range
        known: dict[str, Any] = {"method": EXACT, "levels": self.levels, "normalization": "bounds"}
        known |= {"low": low, "high": high}
        if self.input_steps is not None:
            known["steps"] = self.input_steps
        return Recipe(**{**known, **changes})


def finish(prepared: Any, history: Sequence[Epoch] = ()) -> FineTuned:
    """A trained network without the modules of the training; `prepared` is left as it is.

    Args:
        prepared: from `prepare`, trained.
        history: what is known of the training.

    Raises:
        UsageError: for anything else.
    """
    import_torch("fine-tuning")
    from nmdeploy.convert.finetune.modules import Prepared, plain

    if not isinstance(prepared, Prepared):
        hint = "give what prepare returned"
        raise UsageError("the model is not a prepared one", found=type(prepared).__name__, hint=hint)
    return FineTuned(
        plain(prepared),
        prepared,
        prepared.bounds,
        prepared.levels,
        prepared.weight_bits,
        prepared.input_steps,
        prepared.input_range,
        tuple(history),
    )

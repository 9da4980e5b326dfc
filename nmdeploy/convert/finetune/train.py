"""Fine-tuning in a plain PyTorch loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.convert.finetune.batches import batches, check_loader, first_inputs
from nmdeploy.convert.finetune.finish import FineTuned, finish
from nmdeploy.convert.finetune.prepare import prepare
from nmdeploy.convert.finetune.tracing import device_of
from nmdeploy.errors import ModelError, UsageError
from nmdeploy.progress import Progress

if TYPE_CHECKING:
    from nmdeploy.convert.finetune.modules import Prepared

CALIBRATION = 500
"""So many samples of the loader, or as many as there are, set the first bounds."""


@dataclass(frozen=True)
class Epoch:
    """What was measured in one pass over the training samples, while weights changed.

    Attributes:
        loss: mean over the samples.
        accuracy: share of samples whose largest score was their label's.
    """

    loss: float
    accuracy: float


def finetune(
    model: Any,
    loader: Iterable[Any],
    *,
    levels: int = 8,
    weight_bits: int = 8,
    epochs: int = 2,
    input_steps: int | None = None,
    input_range: tuple[float, float] = (0.0, 1.0),
    lr: float = 1e-3,
    seed: int = 0,
    loss: Callable[[Any, Any], Any] | None = None,
    progress: Progress | None = None,
) -> FineTuned:
    """Train a model with the activations, weights and input that exact mode has; see `prepare`.

    Adam (Kingma and Ba 2015, arXiv:1412.6980) with a learning rate that falls to 0 along a cosine
    (Loshchilov and Hutter 2017, arXiv:1608.03983). The same seed gives the same weights on one machine, as
    far as the loader draws from torch's global generator, which is left as it was. An interrupt
    passes through; the model given is never changed.

    Args:
        model: a trained `nn.Module`; the training runs on its device.
        loader: batches (inputs `[N, *shape]`, labels `[N]`), a `DataLoader` or list: with a length, and to be
            gone through once an epoch.
        levels, weight_bits, input_steps, input_range: as in `prepare`.
        epochs: 0 quantizes without training.
        lr: the learning rate at the start.
        seed: of shuffling and dropout.
        loss: of (scores, labels), a mean over the batch; default: cross-entropy.
        progress: called after every batch with (batches done, in all).

    Raises:
        NmdeployError: as `prepare` does; `DataError` for a loader without labels, or with labels
            that do not fit; `ModelError` when the loss is no longer finite.
    """
    torch = import_torch("fine-tuning")
    check_loader(loader)
    _check(epochs, lr)
    device = device_of(model)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        prepared = prepare(
            model,
            first_inputs(loader, CALIBRATION),
            levels=levels,
            weight_bits=weight_bits,
            input_steps=input_steps,
            input_range=input_range,
        )
        measure = loss or torch.nn.functional.cross_entropy
        history = _trained(prepared, loader, epochs, lr, measure, progress or (lambda _done, _total: None))
    return finish(prepared.eval(), history)


def _trained(
    prepared: Prepared, loader: Any, epochs: int, lr: float, loss: Callable[[Any, Any], Any], progress: Progress
) -> list[Epoch]:
    """Train in place; what each epoch measured."""
    optim = import_torch("fine-tuning").optim
    total = epochs * len(loader)
    optimizer = optim.Adam([each for each in prepared.parameters() if each.requires_grad], lr)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, max(total, 1))
    done, history = 0, []
    prepared.train()
    for number in range(1, epochs + 1):
        samples, lost, right = 0, 0.0, 0
        for x, y in batches(loader, prepared, number):
            optimizer.zero_grad()
            scores = prepared(x)
            value = loss(scores, y)
            _check_finite(float(value.detach()), number)
            value.backward()
            optimizer.step()
            schedule.step()
            samples += len(y)
            lost += float(value.detach()) * len(y)
            right += int((scores.argmax(1) == y).sum())
            done += 1
            progress(done, total)
        history.append(Epoch(lost / samples, right / samples))
    return history


def _check(epochs: int, lr: float) -> None:
    if epochs < 0:
        raise UsageError("there are no fewer than 0 epochs", where="epochs", found=epochs, limit=0)
    if not (math.isfinite(lr) and lr > 0):
        raise UsageError("a learning rate is above 0", where="lr", found=lr)


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        hint = "use a lower learning rate, and look for NaN in the samples"
        raise ModelError("the loss is not finite", where=f"epoch {epoch}", found=loss, hint=hint)

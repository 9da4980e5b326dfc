"""Batches of a loader, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.convert.checks import check_labels
from nmdeploy.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmdeploy.convert.finetune.modules import Prepared


def check_loader(loader: Any) -> None:
    """Refuse what does not tell its length, or has none.

    Raises:
        UsageError: for a loader without a length.
        DataError: for an empty one.
    """
    try:
        length = len(loader)
    except TypeError as error:
        hint = "give a DataLoader over a data set with a length, or a list of batches"
        raise UsageError("the loader has no length", found=type(loader).__name__, hint=hint) from error
    if length == 0:
        raise DataError("the loader holds no batches")


def first_inputs(loader: Iterable[Any], count: int) -> Any:
    """The first inputs of a loader, at most `count`, as a tensor on the CPU."""
    torch = import_torch("fine-tuning")
    parts, found = [], 0
    for number, batch in enumerate(loader):
        x, _ = _pair(batch, f"batch {number}")
        parts.append(x.detach().cpu())
        found += len(x)
        if found >= count:
            break
    return torch.cat(parts)[:count]


def batches(loader: Iterable[Any], model: Prepared, epoch: int) -> Iterator[tuple[Any, Any]]:
    """Inputs and labels of one epoch, checked, on the model's device.

    Raises:
        DataError: without labels, for labels that are not one integer for each sample, or no batch at all.
    """
    device = next(model.parameters()).device
    number = -1
    for number, batch in enumerate(loader):
        where = f"epoch {epoch}, batch {number}"
        x, y = _pair(batch, where)
        check_labels(y.detach().cpu().numpy(), len(x), model.classes, where)
        yield x.to(device).float(), y.to(device).long()
    if number < 0:
        hint = "give one that can be gone through again, such as a DataLoader"
        raise DataError("the loader is exhausted", where=f"epoch {epoch}", hint=hint)


def _pair(batch: Any, where: str) -> tuple[Any, Any]:
    torch = import_torch("fine-tuning")
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError("a batch is a pair of inputs and labels", where=where, found=type(batch).__name__)
    x, y = (torch.as_tensor(part) for part in batch)
    return x, y

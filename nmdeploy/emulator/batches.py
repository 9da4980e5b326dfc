"""Batches of samples, one after the other or several at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def run_batches(
    total: int, batch: int, threads: int, run: Callable[[slice], None], after: Callable[[int], None]
) -> None:
    """Run every batch, several at a time when there are several threads.

    Args:
        total: number of samples.
        batch: samples in a batch.
        threads: how many.
        run: runs the samples of a slice; with several threads from several of them.
        after: called with the number of samples done, after every batch, in order.

    Raises:
        NmdeployError: that of the first batch in which `run` raises one.
    """
    pieces = [slice(first, min(first + batch, total)) for first in range(0, total, batch)]
    if threads == 1:
        for samples in pieces:
            run(samples)
            after(samples.stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(run, samples) for samples in pieces]
        try:
            for samples, future in zip(pieces, waiting, strict=True):
                future.result()
                after(samples.stop)
        finally:  # after an overflow or an interrupt nothing else begins
            for future in waiting:
                future.cancel()

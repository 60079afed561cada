"""Several processes that train one model, one a device: only the first scores, writes and prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ssl_ecg.errors import UserError
from ssl_ecg.report.state import read_sidecar
from ssl_ecg.training.sidecar import Sidecar, taken

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

T = TypeVar("T")


def first_process() -> bool:
    """Whether this process is the one that scores, writes and prints: the only one, or the first of several."""
    if (lightning := sys.modules.get("pytorch_lightning.utilities")) is not None:
        return bool(lightning.rank_zero_only.rank == 0)
    # What Lightning will go by, without the seconds its import takes.
    ranks = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
    return next((int(os.environ[name]) for name in ranks if name in os.environ), 0) == 0


def of_first(trainer: Trainer, find: Callable[[], T]) -> T:
    """What the first process finds, in all of them: its model is the one that is kept."""
    found: T = trainer.strategy.broadcast(find() if trainer.is_global_zero else None)  # type: ignore[assignment]
    return found


@contextmanager
def heard_once() -> Iterator[None]:
    """Silences all processes but the first; what escapes the block is said by whoever catches it."""
    if first_process():
        yield
    else:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield


@contextmanager
def trained_by_one(folder: Path) -> Iterator[Sidecar]:
    """Make a run's folder and hold it against other commands; the processes of one command share it.

    UserError if another process trains in it, here or on another machine, or it cannot be made, read or written.
    """
    sidecar = Sidecar(folder)
    if not first_process():
        yield sidecar
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot use {folder} ({error.strerror}): choose another folder") from None
    locked = False
    try:
        with suppress(ImportError, OSError):  # Windows; file systems without locks
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked = True
            except BlockingIOError:
                raise taken(folder, read_sidecar(folder) or {}) from None
        with sidecar.held(locked=locked):
            yield sidecar
    finally:
        os.close(handle)

"""Weights & Biases, when asked for: one W&B run for one run folder, however often it is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from ssl_ecg.errors import UserError
from ssl_ecg.report.wandb import Mode, check_wandb, wandb_id
from ssl_ecg.training.processes import first_process

_WARNED = (138, 140)  # exits after SIGUSR1 and SIGUSR2, with which a cluster announces the end


@contextmanager
def wandb_logger(folder: Path, mode: Mode, config: dict[str, Any]) -> Iterator[WandbLogger | None]:
    """Log a block to the folder's W&B run, and say there how the block ended; None for "off".

    The folder keeps the W&B id in `wandb_id` and W&B's own files in `wandb/`; "offline" writes to disk only, for `wandb
    sync`. A run that its cluster stopped counts as preempted: W&B hands it out again in a sweep. UserError if wandb is
    not installed, or cannot start (no account, no network).
    """
    if mode == "off":
        yield None
        return
    check_wandb(mode)
    import wandb

    logger = WandbLogger(
        name=folder.name,
        save_dir=folder,
        project="ssl_ecg",
        id=wandb_id(folder) if first_process() else None,  # only the first process logs
        offline=mode == "offline",
        config=config,
        resume="allow",
        settings=wandb.Settings(silent=True),
    )
    try:
        run = logger.experiment  # starts it: a missing account is said before training, not after
    except (wandb.Error, OSError) as error:
        raise UserError(f"Weights & Biases cannot start ({error}): use --wandb offline, or off") from None
    code = 0
    try:
        yield logger
    except BaseException as error:
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        if code in _WARNED:
            run.mark_preempting()
        raise
    finally:
        run.finish(exit_code=code)  # or what was logged last may not be on disk when the command ends

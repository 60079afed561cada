"""Weights & Biases, when asked for: one W&B run for one run folder, however often it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from ssl_ecg.errors import UserError
from ssl_ecg.report.wandb import Mode, check_wandb, wandb_id
from ssl_ecg.training.processes import first_process


def wandb_logger(folder: Path, mode: Mode, config: dict[str, Any]) -> WandbLogger | None:
    """A logger that goes on with the folder's W&B run; None for "off".

    The folder keeps the W&B id in `wandb_id` and W&B's own files in `wandb/`; "offline" writes to disk only, for `wandb
    sync`. UserError if wandb is not installed, or cannot start (no account, no network).
    """
    if mode == "off":
        return None
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
        logger.experiment  # noqa: B018  (starts it: a missing account is said before training, not after)
    except (wandb.Error, OSError) as error:
        raise UserError(f"Weights & Biases cannot start ({error}): use --wandb offline, or off") from None
    return logger

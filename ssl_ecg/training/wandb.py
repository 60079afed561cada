"""Weights & Biases, when asked for: one W&B run for one run folder, however often it is resumed."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger

from ssl_ecg.errors import UserError
from ssl_ecg.training.processes import first_process


def wandb_logger(folder: Path, mode: Literal["off", "offline", "online"], config: dict[str, Any]) -> WandbLogger | None:
    """A logger that goes on with the folder's W&B run; None for "off".

    Args:
        folder: of the run; keeps the W&B id in `wandb_id`, and W&B's own files in `wandb/`.
        mode: "offline" writes to disk only; `wandb sync` uploads it later.
        config: logged as the run's configuration.

    Raises:
        UserError: if wandb is not installed, or cannot start (no account, no network).
    """
    if mode == "off":
        return None
    try:
        import wandb
    except ImportError:
        raise UserError("wandb is not installed: pip install 'ssl-ecg[wandb]', or --wandb off") from None
    logger = WandbLogger(
        name=folder.name,
        save_dir=folder,
        project="ssl_ecg",
        id=_run_id(folder / "wandb_id") if first_process() else None,  # only the first process logs
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


def _run_id(path: Path) -> str:
    """The id in a file, which is made if it is not there: of several that try, one decides."""
    with suppress(FileExistsError), path.open("x") as file:
        file.write(uuid.uuid4().hex[:8])
    return path.read_text().strip()

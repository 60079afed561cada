"""A stopped run goes on: the training state is saved now and then, at SIGTERM, and whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class Resume(Callback):
    """Keeps `last.ckpt` in the run's folder.

    It is written after every epoch, every `minutes` within one, and at once when SIGTERM comes (Lightning
    then ends the process after the current step). What a SIGKILL costs is the time since the last save; the
    weights the run ends with are the same, since every step's randomness follows from its number.

    Args:
        folder: of the run.
        minutes: between saves within an epoch.
    """

    def __init__(self, folder: Path, minutes: float = 2.0) -> None:
        self.path = folder / "last.ckpt"
        self.minutes = minutes
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save if it is time; the last step of an epoch is saved by `on_train_epoch_end`."""
        if batch_idx + 1 == trainer.num_training_batches:
            return
        due = trainer.strategy.broadcast(time.monotonic() - self._saved > 60 * self.minutes)
        if due or trainer.received_sigterm:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's metrics are known."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        temporary = self.path.with_name(".last.ckpt.tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.path)
        self._saved = time.monotonic()

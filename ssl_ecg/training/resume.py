"""A stopped run goes on: the training state is saved now and then, at SIGTERM, and whole or not at all.

Lightning's own resume is not used: within an epoch it loses count of the batches. A run is instead always
new to Lightning, with weights, optimiser, schedule and the counters of steps and epochs put in place first.
Nothing else is needed, because every step's randomness follows from its number.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.errors import CheckpointError
from ssl_ecg.training.log import EpochLog


class Resume(Callback):
    """Keeps `last.ckpt` in the run's folder, and starts from it where there is one.

    It is written after every epoch, every `minutes` within one, and at once when SIGTERM comes (Lightning
    then ends training after the current step). What a SIGKILL costs is the time since the last save.

    Args:
        folder: of the run.
        log: its rows are saved and restored too.
        minutes: between saves within an epoch.
    """

    def __init__(self, folder: Path, log: EpochLog, minutes: float = 2.0) -> None:
        self.path = folder / "last.ckpt"
        self.epochs = log
        self.minutes = minutes
        self._state: dict[str, Any] | None = None
        self._saved = time.monotonic()

    def restore(self, trainer: Trainer, method: LightningModule, steps_per_epoch: int) -> None:
        """Put a saved state's weights and counters in place; the rest follows when training starts.

        Raises:
            CheckpointError: if the file cannot be read or does not fit the method.
        """
        if not self.path.exists():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            method.load_state_dict(state["method"], strict=True)
            step, self.epochs.rows = int(state["step"]), list(state["rows"])
            self._state = {name: state[name] for name in ("optimiser", "schedule", "precision")}
        except Exception as error:  # noqa: BLE001  (zip, pickle and torch each raise kinds of their own)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self.path} cannot be resumed ({reason}): delete it to start the run over"
            ) from None
        loop = trainer.fit_loop
        for count in ("ready", "started", "processed", "completed"):
            setattr(loop.epoch_progress.current, count, step // steps_per_epoch)
        steps = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.ready = steps.completed = step
        loop.epoch_loop._batches_that_stepped = step  # what loggers count by

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the state of what Lightning has made by now in place."""
        if self._state is not None:
            trainer.optimizers[0].load_state_dict(self._state["optimiser"])
            trainer.lr_scheduler_configs[0].scheduler.load_state_dict(self._state["schedule"])
            trainer.precision_plugin.load_state_dict(self._state["precision"])
            self._state = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save if it is time; the last step of an epoch is saved by `on_train_epoch_end`."""
        if batch_idx + 1 == trainer.num_training_batches:
            return
        due = trainer.strategy.broadcast(time.monotonic() - self._saved > 60 * self.minutes)
        if due or trainer.received_sigterm:
            self._save(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's metrics are known."""
        self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, method: LightningModule) -> None:
        self._saved = time.monotonic()
        if not trainer.is_global_zero:
            return
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        torch.save(
            {
                "method": method.state_dict(),
                "optimiser": trainer.optimizers[0].state_dict(),
                "schedule": trainer.lr_scheduler_configs[0].scheduler.state_dict(),
                "precision": trainer.precision_plugin.state_dict(),
                "step": trainer.global_step,
                "rows": self.epochs.rows,
            },
            temporary,
        )
        os.replace(temporary, self.path)

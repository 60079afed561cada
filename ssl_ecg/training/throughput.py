"""How fast training is, and how much of the time it waits for data."""

from __future__ import annotations

import time

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.data.batches import Batch


class Throughput(Callback):
    """Logs `samples_per_s` (of all processes) and `data_wait` (share of time spent waiting for batches) each epoch."""

    def __init__(self) -> None:
        self._waiting = self._working = 0.0
        self._samples = 0
        self._mark = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._waiting = self._working = 0.0
        self._samples = 0
        self._mark = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """A batch has come: what passed was waiting."""
        now = time.perf_counter()
        self._waiting += now - self._mark
        self._mark = now

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """A step is done: what passed was work (on a GPU, its launch; the epoch's end waits for the rest)."""
        now = time.perf_counter()
        self._working += now - self._mark
        self._mark = now
        self._samples += len(batch.x) * trainer.world_size

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's figures."""
        if torch.cuda.is_available() and pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
            self._working += time.perf_counter() - self._mark
        total = self._waiting + self._working
        if total > 0 and self._samples:
            pl_module.log("samples_per_s", self._samples / total, sync_dist=True)
            pl_module.log("data_wait", self._waiting / total, sync_dist=True)

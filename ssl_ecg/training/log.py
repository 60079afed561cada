"""The run's metrics: one row an epoch, in memory, on disk and on the screen; and how fast it trains."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.data.batches import Batch
from ssl_ecg.files import replacing
from ssl_ecg.training.sidecar import Sidecar

# What the line of an epoch shows, in this order, where it is known.
_SHOWN = {
    "loss": ".3f",
    "val_auroc": ".3f",
    "probe_auroc": ".3f",
    "knn_auroc": ".3f",
    "effective_rank": ".0f",
    "samples_per_s": ",.0f",
}


class EpochLog(Callback):
    """Writes `metrics.csv` into a run's folder after every epoch, and prints a line (first process only).

    `rows` holds one dictionary per epoch; `Resume` puts those of a resumed run's earlier epochs there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.csv"
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row."""
        lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        pl_module.log("lr", lr, sync_dist=True)  # for the loggers
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for step_wise in [name for name in metrics if name.endswith(("_step", "_epoch"))]:
            del metrics[step_wise]  # Lightning's other names for the same
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics, "lr": lr}
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        with replacing(self.path) as temporary, open(temporary, "w", newline="") as file:
            names = list(dict.fromkeys(name for r in self.rows for name in r))
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        known = "  ".join(f"{name} {row[name]:{spec}}" for name, spec in _SHOWN.items() if name in row)
        # stderr, where the progress bar lives: stdout holds results only
        print(f"epoch {row['epoch'] + 1}/{trainer.max_epochs}  {known}", file=sys.stderr, flush=True)


class Throughput(Callback):
    """Logs `samples_per_s` (of all processes) and `data_wait` (share of time spent waiting for batches) each epoch."""

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


class Heartbeat(Callback):
    """Notes each step in the run's `sidecar.json`, and ends training where another job has taken its folder."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.sidecar = sidecar

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the step it begins with."""
        self.sidecar.step(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Note a step."""
        self.sidecar.step(trainer.global_step)

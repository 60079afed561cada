"""The run's metrics: one row an epoch, in memory, on disk and on the screen."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.files import replacing

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
    """Writes `metrics.csv` into a run's folder after every epoch and, if `echo`, prints a line (first process only).

    `rows` holds one dictionary per epoch; `Resume` puts those of a resumed run's earlier epochs there.
    """

    def __init__(self, folder: Path, echo: bool = True) -> None:
        self.path = folder / "metrics.csv"
        self.echo = echo
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
        if self.echo:
            known = "  ".join(f"{name} {row[name]:{spec}}" for name, spec in _SHOWN.items() if name in row)
            # stderr, where the progress bar lives: stdout holds results only
            print(f"epoch {row['epoch'] + 1}/{trainer.max_epochs}  {known}", file=sys.stderr, flush=True)

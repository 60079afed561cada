"""What Lightning's loop runs: a method or a classifier on the batches of its data."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor

from ssl_ecg.data.batches import Batch, Batches
from ssl_ecg.data.module import TrainingWindows
from ssl_ecg.methods.base import Trained


class TrainingModule(LightningModule):
    """Run a method or a classifier in Lightning's loop; methods themselves are plain modules and know nothing of it."""

    def __init__(self, trained: Trained, data: TrainingWindows) -> None:
        super().__init__()
        self.trained, self.data = trained, data

    def train_dataloader(self) -> Batches:
        """Batches that go on at the trainer's step, and lie on its device where the store fits there."""
        self.data.train.to(self.trainer.strategy.root_device)
        return self.data.batches(self.global_rank, self.trainer.world_size, self.global_step)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let momentum copies follow."""
        self.trained.before_step(self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute and log the loss."""
        loss = self.trained.step(batch, self.global_step, self.global_rank)
        for name, value in {"loss": loss, **self.trained.shown}.items():
            bar, size = name == "loss", len(batch.x)
            self.log(name, value, on_step=True, on_epoch=True, prog_bar=bar, batch_size=size, sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's own return type is a wide union)
        """Optimiser and per-step schedule over the whole run."""
        trained = self.trained
        optimiser, schedule = trained.optimiser.configure(trained, trained.steps, trained.shares())
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

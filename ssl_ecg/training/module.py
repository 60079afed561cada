"""What Lightning's loop runs: a method or a classifier on the batches of its data."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from ssl_ecg.data.batches import Batch, Batches
from ssl_ecg.data.module import TrainingWindows
from ssl_ecg.methods.base import Trained
from ssl_ecg.training.pieces import pieces


class TrainingModule(LightningModule):
    """Run a method or a classifier in Lightning's loop; methods themselves are plain modules and know nothing of it."""

    def __init__(self, trained: Trained, data: TrainingWindows, accumulate: int = 1) -> None:
        super().__init__()
        self.trained, self.data, self.accumulate = trained, data, accumulate

    def train_dataloader(self) -> Batches:
        """Batches that go on at the trainer's step, and lie on its device where the store fits there."""
        self.data.train.to(self.trainer.strategy.root_device)
        return self.data.batches(self.global_rank, self.trainer.world_size, self.global_step)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let momentum copies follow."""
        self.trained.before_step(self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute and log the loss; of all pieces but the last, the gradient too."""
        if self.accumulate == 1:
            loss, shown = self.trained.step(batch, self.global_step, self.global_rank), self.trained.shown
        else:
            loss, shown = self._piece_by_piece(batch)
        for name, value in {"loss": loss, **shown}.items():
            bar, size = name == "loss", len(batch.x)
            self.log(name, value, on_step=True, on_epoch=True, prog_bar=bar, batch_size=size, sync_dist=True)
        return loss

    def _piece_by_piece(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, with the gradient of the last piece alone to come, and what is shown."""
        for parameter in self.trained.parameters():
            parameter.grad = None
        loss, shown = batch.x.new_zeros(()), dict[str, Tensor]()
        parts = pieces(batch, self.accumulate)
        for number, piece in enumerate(parts, start=1):
            share = len(piece.x) / len(batch.x)
            found = share * self.trained.step(piece, self.global_step, self.global_rank, number - 1)
            if number < len(parts):  # several processes share gradients with the last piece
                self.trainer.strategy.backward(found, None)
                found = found.detach()
            loss = loss + found
            shown = {name: shown.get(name, 0) + share * value for name, value in self.trained.shown.items()}
        return loss, shown

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Leave the gradients of the pieces before the last one."""
        if self.accumulate == 1:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's own return type is a wide union)
        """Optimiser and per-step schedule over the whole run."""
        trained = self.trained
        optimiser, schedule = trained.optimiser.configure(trained, trained.steps, trained.shares())
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

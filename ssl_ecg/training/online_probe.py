"""What the embeddings are worth while they are trained, on patients the encoder does not see."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.windows import WindowIndex
from ssl_ecg.encoders import Encoder
from ssl_ecg.evaluation.probe import ProbeScores, quick_probe
from ssl_ecg.training.embedding import embed


class OnlineProbe(Callback):
    """Logs `probe_auroc` (linear) and `knn_f1` each epoch: fitted on training patients, scored on held-out ones.

    Both see a fixed subset of the windows, rare classes kept first, so that an epoch waits seconds, not minutes.
    The labels never reach the encoder.

    Args:
        data: gives the labelled windows of both sides.
        size: at most so many windows on each side.
        every: epochs between two probes; the last epoch always has one.
    """

    def __init__(self, data: ECGDataModule, size: int = 3000, every: int = 1) -> None:
        self.data, self.every = data, every
        self.train = data.probe_subset(data.probe_train, size)
        self.val = data.probe_subset(data.probe_val, size)

    @property
    def possible(self) -> bool:
        """Whether both sides have labelled windows of at least two classes."""
        return all(len(index.label.unique()) > 1 for index in (self.train, self.val))

    def score(self, encoder: Encoder) -> ProbeScores:
        """Probe an encoder."""
        return quick_probe(
            *self._embed(encoder, self.train), *self._embed(encoder, self.val), classes=self.data.classes
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Probe the online encoder."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        if not self.possible or ((trainer.current_epoch + 1) % self.every and not last):
            return
        scores = self.score(pl_module.encoder)  # type: ignore[arg-type]  # every Method has one
        pl_module.log("probe_auroc", scores.auroc, prog_bar=True)
        pl_module.log("knn_f1", scores.knn_f1, prog_bar=True)

    def _embed(self, encoder: Encoder, index: WindowIndex) -> tuple[Tensor, np.ndarray]:
        return embed(encoder, self.data.windows_of(index)), index.label.numpy()

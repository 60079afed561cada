"""Is the representation collapsing? Looked at every epoch, said aloud when it is."""

from __future__ import annotations

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn

from ssl_ecg.data.batches import generator
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.evaluation.diagnostics import diagnose
from ssl_ecg.training.embedding import embed


class CollapseMonitor(Callback):
    """Logs standard deviation, effective rank, alignment and uniformity of the embeddings each epoch.

    Args:
        data: gives the windows (of training patients; the same each epoch, with the same augmentations).
        size: number of windows.
    """

    def __init__(self, data: ECGDataModule, size: int = 1024) -> None:
        rows = torch.randperm(len(data.train_index), generator=generator(data.seed, 5))[:size]
        self.index = data.train_index[rows]
        self.data = data

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Embed two views of the windows and look at them."""
        x = torch.cat(list(self.data.windows_of(self.index)))
        g = generator(self.data.seed, 6, device=x.device)
        views = pl_module.views(x, pl_module.fs, g)[:2]
        z0, z1 = (embed(pl_module.encoder, view.split(256)) for view in views)
        found = diagnose(z0, z1)
        for name, value in found.values().items():
            pl_module.log(name, value)
        if found.warning:
            rank_zero_warn(f"epoch {trainer.current_epoch}: {found.warning}")

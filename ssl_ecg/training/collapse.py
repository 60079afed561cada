"""Watch for a collapse of the representation, every epoch."""

from __future__ import annotations

import math

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn

from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.methods import Method
from ssl_ecg.metrics.diagnostics import Diagnostics, collapsed, diagnose
from ssl_ecg.training.embedding import embed
from ssl_ecg.training.module import TrainingModule
from ssl_ecg.training.processes import of_first


class CollapseMonitor(Callback):
    """Logs how the embeddings fill their space, each epoch, and warns of a collapse.

    Spread (standard deviation of the normalised embeddings; 1 is isotropic), effective rank, alignment and uniformity,
    on `size` windows of training patients, the same each epoch, with the same augmentations.
    """

    def __init__(self, data: ECGDataModule, size: int = 1024) -> None:
        rows = torch.randperm(len(data.train), generator=generator(data.seed, Purpose.MONITOR_SAMPLE))[:size]
        self.windows = data.train[rows]
        self.seed = data.seed

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Embed the windows, or two views of them, and look at them."""
        assert isinstance(pl_module, TrainingModule)
        method = pl_module.trained
        assert isinstance(method, Method)
        found = of_first(trainer, lambda: self._look(method))
        for name in ("spread", "effective_rank", "alignment", "uniformity"):
            if not math.isnan(value := getattr(found, name)):  # no alignment without two views
                pl_module.log(name, value, sync_dist=True)
        if problem := collapsed(found):
            rank_zero_warn(
                f"epoch {trainer.current_epoch + 1}: {problem} Stronger augmentations, a lower learning rate or "
                "another method may help."
            )

    def _look(self, method: Method) -> Diagnostics:
        x = torch.cat(list(self.windows.batches()))
        views = method.looks(x, generator(self.seed, Purpose.MONITOR_VIEWS, device=x.device))
        return diagnose(*(embed(method.encoder, view.split(256)) for view in views))

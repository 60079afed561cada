"""Score the embeddings while they are trained, on patients outside the pretraining set."""

from __future__ import annotations

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.encoders import Encoder
from ssl_ecg.estimators.knn import knn_predict
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.metrics.scores import scorable, score, score_multilabel
from ssl_ecg.training.embedding import embed
from ssl_ecg.training.module import TrainingModule
from ssl_ecg.training.processes import of_first

_NAMES = ("probe_auroc", "probe_f1", "knn_auroc")
_C = 0.01  # fixed: an epoch has no time to choose it


class OnlineProbe(Callback):
    """Logs `probe_auroc` and `knn_auroc` (macro) as it trains: fitted on training patients, scored on held-out ones.

    Both see a fixed, class-balanced sample of at most `size` windows a side, so that an epoch waits seconds, not
    minutes. The labels never reach the encoder. The probe runs once in `every` epochs, and after the last.
    """

    def __init__(
        self, data: ECGDataModule, size: int = 2000, neighbours: int = 20, *, multilabel: bool = False, every: int = 1
    ) -> None:
        self.every = every
        self.classes: tuple[str, ...] = data.store.classes
        self.train = data.probe_train.sample(size, data.seed)
        self.val = data.probe_val.sample(size, data.seed)
        self.neighbours, self.multilabel = neighbours, multilabel

    @property
    def possible(self) -> bool:
        """Whether there is a class to learn from training windows and to score on held-out ones.

        That takes two classes on each side or, if `multilabel`, one that training windows have and lack, and that
        held-out patients have and lack in numbers that make a score (`scorable`).
        """
        if self.multilabel:
            known = self.train.targets
            learnable = known.any(axis=0) & ~known.all(axis=0)
            return bool((learnable & scorable(self.val.targets, self.val.patient)).any())
        return all(len(side.index.label.unique()) > 1 for side in (self.train, self.val))

    def score(self, encoder: Encoder) -> dict[str, float]:
        """Probe an encoder: macro AUROC of the linear probe and of kNN, and the probe's macro F1.

        No F1 where windows may belong to several classes: that needs thresholds, and no patients are left to choose
        them.
        """
        z, z_val = (embed(encoder, side.batches()) for side in (self.train, self.val))
        return self._multilabel(z, z_val) if self.multilabel else self._exclusive(z, z_val)

    def _exclusive(self, z: Tensor, z_val: Tensor) -> dict[str, float]:
        k = len(self.classes)
        probe = fit_probe({"embedding": z.numpy()}, self.train.label, self.train.patient, k, cs=[_C])
        linear = score(self.val.label, probe.predict_proba({"embedding": z_val.numpy()}), self.classes)
        knn = knn_predict(z, self.train.index.label, z_val, k, k=self.neighbours).numpy()
        return {
            "probe_auroc": linear["macro_auroc"],
            "probe_f1": linear["macro_f1"],
            "knn_auroc": score(self.val.label, knn, self.classes)["macro_auroc"],
        }

    def _multilabel(self, z: Tensor, z_val: Tensor) -> dict[str, float]:
        targets = self.train.targets
        probe = fit_probe({"embedding": z.numpy()}, targets, self.train.patient, cs=[_C])
        linear = probe.predict_proba({"embedding": z_val.numpy()})
        knn = knn_predict(z, torch.from_numpy(targets), z_val, k=self.neighbours).numpy()
        found = {}
        for name, p in {"probe_auroc": linear, "knn_auroc": knn}.items():
            scores = score_multilabel(self.val.targets, p, self.classes, self.val.patient, probe.decision)
            found[name] = scores["macro_auroc"]
        return found

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Probe the online encoder."""
        assert isinstance(pl_module, TrainingModule)
        encoder = pl_module.trained.encoder
        done = trainer.current_epoch + 1
        if self.possible and (done % self.every == 0 or done == trainer.max_epochs):
            for name, value in of_first(trainer, lambda: self.score(encoder)).items():
                pl_module.log(name, value, prog_bar=name == "probe_auroc", sync_dist=True)
        else:  # or Lightning would report the last probe's scores again
            for name in _NAMES:
                trainer.callback_metrics.pop(name, None)

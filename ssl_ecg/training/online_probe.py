"""What the embeddings are worth while they are trained, on patients the encoder does not see."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.encoders import Encoder
from ssl_ecg.evaluation.knn import knn_predict
from ssl_ecg.evaluation.linear import fit_linear_probe
from ssl_ecg.evaluation.scores import score
from ssl_ecg.methods import Method
from ssl_ecg.training.embedding import embed

_C = 0.01  # fixed: an epoch has no time to choose it


class OnlineProbe(Callback):
    """Logs `probe_auroc` and `knn_auroc` (macro) each epoch: fitted on training patients, scored on held-out ones.

    Both see a fixed, class-balanced sample of the windows, so that an epoch waits seconds, not minutes. The
    labels never reach the encoder.

    Args:
        data: gives the labelled windows of both sides.
        size: at most so many windows on each side.
        neighbours: of the kNN classifier.
    """

    def __init__(self, data: ECGDataModule, size: int = 2000, neighbours: int = 20) -> None:
        self.classes: tuple[str, ...] = tuple(data.store.meta["classes"])
        self.train = data.probe_train.sample(size, data.seed)
        self.val = data.probe_val.sample(size, data.seed)
        self.neighbours = neighbours

    @property
    def possible(self) -> bool:
        """Whether both sides have labelled windows of at least two classes."""
        return all(len(side.index.label.unique()) > 1 for side in (self.train, self.val))

    def score(self, encoder: Encoder) -> dict[str, float]:
        """Probe an encoder: macro AUROC and F1 of the linear probe, macro AUROC of kNN."""
        z, z_val = (embed(encoder, side.batches()) for side in (self.train, self.val))
        k = len(self.classes)
        probe = fit_linear_probe({"embedding": z.numpy()}, self.train.label, self.train.patient, k, cs=[_C])
        linear = score(self.val.label, probe.predict_proba({"embedding": z_val.numpy()}), self.classes)
        knn = knn_predict(z, self.train.index.label, z_val, k, k=self.neighbours).numpy()
        return {
            "probe_auroc": linear.values["macro_auroc"],
            "probe_f1": linear.values["macro_f1"],
            "knn_auroc": score(self.val.label, knn, self.classes).values["macro_auroc"],
        }

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Probe the online encoder."""
        assert isinstance(pl_module, Method)
        if self.possible:
            for name, value in self.score(pl_module.encoder).items():
                pl_module.log(name, value, prog_bar=name == "probe_auroc")

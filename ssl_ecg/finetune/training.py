"""Fine-tuning: an encoder and a linear head, trained together on labels."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from augmentations import Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.module import TrainingWindows
from ssl_ecg.data.randomness import Purpose
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import CheckpointError
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.files import ensure_writable
from ssl_ecg.methods.base import Trained, in_fp32
from ssl_ecg.metrics.scores import auroc
from ssl_ecg.optimisers import Optimiser
from ssl_ecg.study.label_draws import Sides
from ssl_ecg.study.recordings import over_recordings
from ssl_ecg.study.study import Study, unseen_by
from ssl_ecg.study.systems import Frozen
from ssl_ecg.training.embedding import embed
from ssl_ecg.training.fit import train
from ssl_ecg.training.module import TrainingModule
from ssl_ecg.training.processes import of_first
from ssl_ecg.training.resume import write_state
from ssl_ecg.training.settings import TrainerSettings


class Classifier(Trained):
    """An encoder with a linear head, trained in place on labelled windows.

    Where classes exclude each other, a class-balanced cross-entropy, as the linear probe's; else a binary cross-entropy
    for each class. `targets` are those of the windows that are drawn from, shape (n, K). `views` changes training
    windows as the first of its views is changed; None leaves them.

    The learning rate falls from layer to layer towards the signal: the head has all of it, the encoder's last layer
    `layer_decay` of it, the one before that `layer_decay` of that, and so on (Clark et al. 2020,
    https://arxiv.org/abs/2003.10555; Bao et al. 2022, https://arxiv.org/abs/2106.08254): early layers hold what all ECG
    has in common.
    """

    def __init__(
        self,
        encoder: Encoder,
        targets: NDArray[np.bool_],
        *,
        multilabel: bool,
        optimiser: Optimiser | None = None,
        layer_decay: float = 1.0,
        views: Views | None = None,
    ) -> None:
        super().__init__(encoder.requires_grad_(True), optimiser)
        self.head = nn.Linear(encoder.dim, targets.shape[1])
        self.multilabel, self.layer_decay, self.views = multilabel, layer_decay, views
        counts = torch.from_numpy(targets.sum(axis=0))
        there = counts > 0
        # Not saved with the run: they follow from the data.
        self.register_buffer("targets", torch.from_numpy(targets), persistent=False)
        self.register_buffer("weight", there / (there.sum() * counts.clamp_min(1)) * len(targets), persistent=False)
        self.train()

    purpose = Purpose.FINE_TUNING_VIEWS
    targets: Tensor
    weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Logits of windows: (B, C, T) -> (B, K)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def start_head(self, probe: LinearProbe) -> None:
        """Begin with the head of a linear probe on the encoder's embeddings.

        A random head's first gradients distort what pretraining found (Kumar et al. 2022,
        https://arxiv.org/abs/2202.10054).
        """
        weight = (probe.coefficients / probe.scale[:, None]).T
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.copy_(torch.from_numpy(probe.intercept - weight @ probe.mean))

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of logits (B, K) and targets (B, K)."""
        if self.multilabel:
            return binary_cross_entropy_with_logits(logits, targets.float())
        y = targets.int().argmax(dim=1)
        return (cross_entropy(logits, y, reduction="none") * self.weight[y]).mean()

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of a batch of windows, augmented where there are views."""
        assert batch.row is not None
        x, targets = batch.x, self.targets[batch.row.to(self.targets.device)]
        if self.views is not None:
            x = self.views.augmentations(x, self.fs, generator)
        return in_fp32(lambda logits: self.cross_entropy(logits, targets), self(x))

    def shares(self) -> dict[nn.Parameter, float]:
        """Layer-wise shares of the learning rate; what is in no layer goes with the first."""
        layers = self.encoder.layers()
        found = {p: self.layer_decay ** max(1, len(layers)) for p in self.encoder.parameters()}
        for depth, layer in enumerate(reversed(layers), start=1):
            found |= dict.fromkeys(layer.parameters(), self.layer_decay**depth)
        return found

    def probabilities(self, windows: WindowSet) -> NDArray[np.float64]:
        """Probability of each class of windows, or of recordings (the mean of their windows'), shape (n, K)."""

        def of_each(some: WindowSet) -> NDArray[np.float64]:
            logits = embed(self, some.batches(256)).double()
            p: NDArray[np.float64] = (logits.sigmoid() if self.multilabel else logits.softmax(dim=1)).numpy()
            return p

        return over_recordings(windows, of_each)


class BestEpoch(Callback):
    """Logs `val_auroc` after each epoch, and keeps the weights of the best in `folder/best.ckpt`.

    That is the macro AUROC over the classes that some validation windows have and others lack. A stopped run goes on
    with the best it had.
    """

    def __init__(self, folder: Path, windows: WindowSet) -> None:
        self.path = folder / "best.ckpt"
        self.windows = windows

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score the epoch."""
        assert isinstance(pl_module, TrainingModule)
        classifier = pl_module.trained
        assert isinstance(classifier, Classifier)
        score = of_first(trainer, lambda: macro_auroc(self.windows.targets, classifier.probabilities(self.windows)))
        pl_module.log("val_auroc", score, prog_bar=True, sync_dist=True)
        if score > self.score and trainer.is_global_zero:
            state = {"module": classifier.state_dict(), "epoch": trainer.current_epoch, "val_auroc": score}
            write_state(self.path, state)

    @property
    def score(self) -> float:
        """Of the best epoch so far."""
        return float(self._read()["val_auroc"]) if self.path.exists() else -math.inf

    def restore(self, module: Classifier) -> int:
        """Put the best epoch's weights in place, and say which epoch it was, counted from 0."""
        state = self._read()
        module.load_state_dict(state["module"])
        return int(state["epoch"])

    def _read(self) -> dict[str, Any]:
        try:
            return dict(torch.load(self.path, map_location="cpu", weights_only=True))
        except Exception as error:  # noqa: BLE001  (zip, pickle and torch each raise kinds of their own)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self.path} cannot be read ({reason}): delete its folder to start this training over"
            ) from None


def macro_auroc(targets: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Mean AUROC over the classes that some samples have and others lack; both arrays have shape (n, K)."""
    areas = [auroc(t, p) for t, p in zip(targets.T, probabilities.T, strict=True)]
    defined = [area for area in areas if not math.isnan(area)]
    return sum(defined) / len(defined) if defined else math.nan


def fine_tune(
    classifier: Classifier,
    learn: WindowSet,
    validation: WindowSet,
    folder: Path,
    settings: TrainerSettings,
    batch_size: int = 64,
    seed: int = 0,
    logger: Logger | None = None,
    watching: Sequence[Callback] = (),
) -> tuple[list[dict[str, float]], int]:
    """Train a classifier in `folder`, from where it was stopped, and leave it with the weights of its best epoch.

    It learns from the windows its targets belong to; those of `validation` choose the epoch. A batch has `batch_size`
    windows per process, or all where there are fewer. Callbacks `watching` see every step. Returns the metrics of each
    epoch, and the number of the best, counted from 0. UserError as `train`.
    """
    ensure_writable(folder)
    best = BestEpoch(folder, validation)
    share = len(learn) // settings.processes
    data = TrainingWindows(learn, max(1, min(batch_size, share)), seed=seed)
    history = train(classifier, data, folder, settings, logger, [*watching, best])
    return history, best.restore(classifier)


Array = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """One way to use the labels.

    `validation` is the macro AUROC of the validation patients, in the best epoch (`epoch`, counted from 1) where there
    are epochs; `history` has the metrics of each. `probabilities` of windows have shape (n, K); beside them decides
    `decision`, shape (K,): thresholds where a window may belong to several classes, else how common each class was.
    """

    system: str
    validation: float
    probabilities: Callable[[WindowSet], Array]
    decision: Array
    epoch: int | None = None
    history: Sequence[Mapping[str, float]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def frozen_probe(study: Study, sides: Sides, device: torch.device) -> tuple[Model, LinearProbe]:
    """Fit the linear probe on the frozen encoder, on the windows that are learned from.

    Where a window may belong to several classes, the validation patients choose its penalty and thresholds; else it is
    cross-validated. UserError if there are too few patients.
    """
    system = Frozen("frozen linear probe", copy.deepcopy(study.encoder.encoder), device)
    if study.data.multilabel:
        both = study.train.where(np.isin(study.train.patient, [*sides.learners, *sides.judges]))
        judge = np.isin(both.patient, sides.judges)
        judged = unseen_by(study.encoder, both, judge)
        x = {"embedding": system.features(both)}
        probe = fit_probe(x, both.targets, both.patient, validation=judge, judged=judged, device=device)
    else:
        learn = sides.learn
        judged = unseen_by(study.encoder, learn)
        x = {"embedding": system.features(learn)}
        probe = fit_probe(x, learn.label, learn.patient, len(study.data.classes), judged=judged, device=device)

    def probabilities(windows: WindowSet) -> Array:
        return probe.predict_proba({"embedding": system.features(windows)})

    area = macro_auroc(sides.validation.targets, probabilities(sides.validation))
    return Model(system.name, area, probabilities, probe.decision, settings={"C": probe.chosen.c}), probe

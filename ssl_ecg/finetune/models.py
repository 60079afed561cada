"""Fine-tuning and what stands beside it: whose labels are learned from, who chooses the epoch, and the models."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger

from augmentations import Views
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.finetune.training import Classifier, fine_tune, macro_auroc
from ssl_ecg.metrics.bootstrap import Resampled
from ssl_ecg.metrics.multilabel import best_threshold
from ssl_ecg.optimisers import Optimiser
from ssl_ecg.study.benchmark import bootstrap_of
from ssl_ecg.study.guard import unseen_by
from ssl_ecg.study.sides import Sides
from ssl_ecg.study.study import Study
from ssl_ecg.study.systems import Frozen
from ssl_ecg.training.settings import TrainerSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """One way to use the labels.

    Attributes:
        system: its name.
        validation: macro AUROC of the validation patients, in the best epoch where there are epochs.
        probabilities: of windows, shape (n, K).
        decision: what decides beside them, shape (K,): thresholds where a window may belong to several classes,
            else how common each class was.
        epoch: the best one, counted from 1; None without epochs.
        history: metrics of each epoch.
        settings: what it was trained with.
    """

    system: str
    validation: float
    probabilities: Callable[[WindowSet], Array]
    decision: Array
    epoch: int | None = None
    history: Sequence[Mapping[str, float]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def frozen_probe(study: Study, sides: Sides) -> tuple[Model, LinearProbe]:
    """The linear probe on the frozen encoder, fitted on the windows that are learned from.

    Where a window may belong to several classes, the validation patients choose its penalty and thresholds; else it is
    cross-validated.

    Raises:
        UserError: if there are too few patients.
    """
    system = Frozen("frozen linear probe", study.encoder.encoder)
    if study.data.multilabel:
        both = study.train.where(np.isin(study.train.patient, [*sides.learners, *sides.judges]))
        judge = np.isin(both.patient, sides.judges)
        judged = unseen_by(study.encoder, both, judge)
        x = {"embedding": system.features(both)}
        probe = fit_probe(x, both.targets, both.patient, validation=judge, judged=judged)
    else:
        learn = sides.learn
        judged = unseen_by(study.encoder, learn)
        x = {"embedding": system.features(learn)}
        probe = fit_probe(x, learn.label, learn.patient, len(study.data.classes), judged=judged)

    def probabilities(windows: WindowSet) -> Array:
        return probe.predict_proba({"embedding": system.features(windows)})

    area = macro_auroc(sides.validation.targets, probabilities(sides.validation))
    return Model(system.name, area, probabilities, probe.decision, settings={"C": probe.chosen.c}), probe


def tuned(
    system: str,
    encoder: Encoder,
    sides: Sides,
    folder: Path,
    optimiser: Optimiser,
    trainer: TrainerSettings,
    *,
    multilabel: bool,
    lr: float,
    layer_decay: float = 1.0,
    start: LinearProbe | None = None,
    views: Views | None = None,
    batch_size: int = 64,
    seed: int = 0,
    logger: Logger | None = None,
) -> tuple[Model, Classifier]:
    """Train a copy of an encoder with a linear head, or go on with it.

    Args:
        system: what it is called.
        encoder: to begin with; it is not changed.
        sides: who is learned from, and who chooses the epoch.
        folder: of this training.
        optimiser: how it is trained.
        trainer: how long, on what, how precisely.
        multilabel: whether a window may belong to several classes.
        lr: peak learning rate, in place of the optimiser's own.
        layer_decay: of the learning rate from each layer to the one before it.
        start: whose head to begin with; a fresh one if None.
        views: changes training windows.
        batch_size: windows per step and process.
        seed: of the head, the batches and the views.
        logger: gets every metric besides.

    Raises:
        UserError: for settings that cannot be used.
    """
    print(f"{system}:", file=sys.stderr, flush=True)
    how = copy.copy(optimiser)
    how.lr = lr
    targets = sides.learn.targets
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Classifier(
            copy.deepcopy(encoder), targets, multilabel=multilabel, optimiser=how, layer_decay=layer_decay, views=views
        )
    classifier.fs, classifier.seed = sides.learn.preprocessing.fs, seed
    if start is not None:
        classifier.start_head(start)
    history, best = fine_tune(classifier, sides.learn, sides.validation, folder, trainer, batch_size, logger)
    decision = targets.mean(axis=0)
    if multilabel:
        p = classifier.probabilities(sides.validation)
        found = [best_threshold(*of) for of in zip(sides.validation.targets.T, p.T, strict=True)]
        # A class that nobody had in training is never predicted, whoever has it in the validation split.
        decision = np.where(targets.any(axis=0), found, np.inf)
    settings = {"lr": lr, "layer_decay": layer_decay}
    area = history[best]["val_auroc"]
    return Model(system, area, classifier.probabilities, decision, best + 1, history, settings), classifier


def scored_once(
    study: Study, models: Sequence[Model], exclude: Sequence[str], resamples: int, seed: int
) -> tuple[dict[str, Resampled], dict[str, Resampled]]:
    """Score models on the test patients.

    Args:
        study: the encoder and the data set.
        models: each predicts once.
        exclude: recordings to leave out in a second scoring.
        resamples: of the bootstrap over the test patients.
        seed: of the bootstrap.

    Returns:
        By system, the scores on all test patients, and those without the excluded recordings; the latter empty where
        none of these is on the test side.
    """
    test, classes = study.labels(study.test), study.data.classes
    left, keep = test.without(exclude)
    everyone = bootstrap_of(test, classes, n_resamples=resamples, seed=seed)
    others = None if keep.all() else bootstrap_of(left, classes, n_resamples=resamples, seed=seed)
    scored, without = {}, {}
    for model in models:
        p = model.probabilities(study.test)
        scored[model.system] = everyone.resample(p, model.decision)
        if others is not None:
            without[model.system] = others.resample(p[keep], model.decision)
    return scored, without

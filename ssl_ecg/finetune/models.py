"""The models that fine-tuning compares: what they predict, and the frozen linear probe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.windows import WindowSet
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.finetune.training import macro_auroc
from ssl_ecg.study.label_draws import Sides
from ssl_ecg.study.study import Study, unseen_by
from ssl_ecg.study.systems import Frozen

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

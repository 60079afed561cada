"""How far a probe of balanced classes heeds how common each class is, when it decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.design import Blocks, patient_folds
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.metrics.scores import confusion_matrix, f1

EXPONENTS = tuple(np.round(np.arange(0, 1.01, 0.1), 1).tolist())
PEOPLE = 2.0
"""A class of fewer patients in effect is one patient's: with that one held out, others say nothing about it."""


def temper(
    probe: LinearProbe, blocks: Blocks, y: NDArray[np.int64], patients: NDArray[Any], n_folds: int = 5
) -> tuple[NDArray[np.float64], float]:
    """Choose what to multiply probabilities by before the largest decides: priors to a power, shape (K,), and it.

    A strong penalty makes a probe less sure than it should be; whole priors, which are right for true probabilities,
    then never let a rare class win, and no priors call it too often. The power, of 0 to 1, is that with the largest
    macro F1 of patients held out in turn, by probes of the chosen setting; of equals the largest. A class that is one
    patient's, in effect, has no say and keeps its whole prior: how often it should be called cannot be learned.

    Args:
        probe: fitted on these samples; its classes exclude each other.
        blocks: features, each (n, d).
        y: class indices (n,).
        patients: whose each sample is, (n,).
        n_folds: of patients.

    Raises:
        UserError: for fewer than two patients.
    """
    k, setting = len(probe.decision), probe.chosen
    fold = patient_folds(patients, y[:, None] == np.arange(k), n_folds)
    p = np.zeros((len(y), k))
    for f in range(int(fold.max()) + 1):
        fit, out = fold != f, fold == f
        given: dict[str, Any] = {
            "cs": (setting.c,),
            "block_weights": {name: (w,) for name, w in setting.weights.items()},
        }
        one = fit_probe({name: np.asarray(x)[fit] for name, x in blocks.items()}, y[fit], patients[fit], k, **given)
        p[out] = one.predict_proba({name: np.asarray(x)[out] for name, x in blocks.items()})
    there, told = np.bincount(y, minlength=k) > 0, _patients_in_effect(y, patients, k) >= PEOPLE
    powers = [np.where(told, exponent, 1.0) for exponent in EXPONENTS]
    decisions = [np.where(there, probe.decision**power, 0) for power in powers]
    scores = [float(f1(confusion_matrix(y, (p * d).argmax(axis=1), k))[told].sum()) for d in decisions]
    best = len(scores) - 1 - int(np.argmax(scores[::-1]))
    return decisions[best], EXPONENTS[best]


def _patients_in_effect(y: NDArray[np.int64], patients: NDArray[Any], k: int) -> NDArray[np.float64]:
    """How many patients with equal shares would give each class: the reciprocal of Simpson's index, shape (K,)."""
    _, patient = np.unique(patients, return_inverse=True)
    counts = np.zeros((k, patient.max() + 1))
    np.add.at(counts, (y, patient), 1)
    return np.asarray(counts.sum(axis=1) ** 2 / np.maximum((counts**2).sum(axis=1), 1))

"""The linear probe: class-balanced softmax regression on frozen features, tuned inside the training patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.logistic import SoftmaxRegressions
from ssl_ecg.estimators.probes import (
    CS,
    AffineProbe,
    Blocks,
    Design,
    Setting,
    Weights,
    ascending,
    best,
    checked,
    weightings,
)
from ssl_ecg.metrics.checks import check_labels
from ssl_ecg.metrics.folds import held_out_auroc, patient_folds
from ssl_ecg.metrics.scores import prior_corrected


@dataclass(frozen=True, slots=True)
class LinearProbe(AffineProbe):
    """A fitted probe of classes that exclude each other.

    Attributes:
        priors: how common each class was in training, shape (K,).
    """

    priors: NDArray[np.float64]

    @property
    def decision(self) -> NDArray[np.float64]:
        """The priors, for the prior-corrected rule."""
        return self.priors

    def predict_proba(self, blocks: Blocks, *, prior: bool = False) -> NDArray[np.float64]:
        """Probability of each class.

        Args:
            blocks: the features the probe was fitted on, each (n, d of the block).
            prior: correct the class-balanced probabilities to how common the classes were in training.

        Returns:
            Shape (n, K), rows sum to 1.

        Raises:
            UserError: if the blocks are not those of the fit.
        """
        logits = self.logits(blocks)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return prior_corrected(p, self.priors) if prior else np.asarray(p)


def fit_linear_probe(
    blocks: Blocks,
    y: NDArray[np.integer[Any]],
    patients: NDArray[Any],
    n_classes: int,
    *,
    cs: Sequence[float] = CS,
    block_weights: Mapping[str, Sequence[float]] | None = None,
    n_folds: int = 5,
    judged: NDArray[np.bool_] | None = None,
    device: str | torch.device = "cpu",
) -> LinearProbe:
    """Fit a class-balanced L2 softmax regression, with C and block weights chosen by leave-patients-out.

    The objective is scikit-learn's `LogisticRegression(C=c, class_weight="balanced")` on features
    standardised with the training set's mean and standard deviation, each block then multiplied by its
    weight. In the cross-validation every fold has class weights of its own; the standardisation, which
    knows no labels, is shared.

    A setting's score is the macro AUROC over held-out pairs: of all pairs of a sample of the class and one
    of another class that were held out together, the share ranked rightly. It is what a test set asks (one
    model, many patients) and defined for a class few patients have. Pooling the folds instead would compare
    probabilities of different models, and was seen to prefer the most overfitted ones. A class whose every
    patient is in one fold cannot be learned when that fold is held out: it is not scored, and listed in
    `unscored`. The best score wins; between equals, the stronger penalty.

    An encoder embeds the patients it was pretrained on better than new ones, without a label being involved.
    Settings should therefore be judged by patients it has not seen: `judged`.

    Args:
        blocks: named training features, each (n, d of the block), the largest usually first.
        y: class indices, shape (n,).
        patients: whose each sample is, shape (n,).
        n_classes: K.
        cs: values of C to choose from; a larger one regularises less.
        block_weights: candidates for the weight of a block. The first block's weight is 1 and that of
            others one of `BLOCK_WEIGHTS` unless given here.
        n_folds: fewer are made where there are fewer patients.
        judged: which samples settings are scored on while their fold is held out, shape (n,); all by default.
            The others are only learned from.
        device: where to compute.

    Raises:
        UserError: for features, labels or patients that do not fit each other, for fewer than two classes
            in the labels, or for settings that are not positive.
    """
    arrays = checked(blocks)
    y = check_labels(y, len(next(iter(arrays.values()))), n_classes)
    if len(np.unique(y)) < 2:
        raise UserError(f"a probe needs samples of at least two classes, got only {np.unique(y).tolist()}")
    options = weightings(list(arrays), block_weights)
    cs = ascending(cs)

    labels = torch.from_numpy(y).to(device)
    weight = _balanced(labels, torch.ones(len(y), 1, device=device), n_classes)
    design = Design(arrays, weight)

    table: list[Setting] = []
    unscored: tuple[int, ...] = ()
    chosen = Setting(cs[0], options[0], float("nan"))
    if len(cs) * len(options) > 1:
        fold = patient_folds(patients, y, n_classes, n_folds)
        table, unscored = _cross_validate(design, labels, fold, judged, n_classes, cs, options)
        chosen = best(table)

    problem = SoftmaxRegressions(design.x.double(), labels, weight, n_classes)
    fit = problem.solve(design.penalties([chosen.weights]) / (chosen.c * len(y)), tolerance=1e-9)
    solution = fit.coefficients[..., 0]
    solution[-1] += problem.offset[:, 0]
    coefficients, intercept = design.turned_back(solution)
    return LinearProbe(
        chosen=chosen,
        table=tuple(table),
        unscored=unscored,
        sizes=design.sizes,
        mean=design.mean,
        scale=design.scale,
        coefficients=coefficients,
        intercept=intercept,
        converged=bool(fit.converged.all()),
        priors=np.bincount(y, minlength=n_classes) / len(y),
    )


def _cross_validate(
    design: Design,
    y: Tensor,
    fold: NDArray[np.int64],
    judged: NDArray[np.bool_] | None,
    n_classes: int,
    cs: Sequence[float],
    options: Sequence[Weights],
) -> tuple[list[Setting], tuple[int, ...]]:
    """Score every setting. Folds and weightings are solved together, from each C on to the next."""
    x = design.x
    n_folds = int(fold.max()) + 1
    train = torch.from_numpy(fold[:, None] != np.arange(n_folds)).to(x)
    problem = SoftmaxRegressions(x, y, _balanced(y, train, n_classes).repeat(1, len(options)), n_classes)
    penalties = design.penalties(options).repeat_interleave(n_folds, dim=1)
    per_c = train.sum(dim=0).repeat(len(options))
    held_out = torch.arange(len(x), device=x.device), torch.from_numpy(fold).to(x.device)
    labels = y.cpu().numpy()
    targets = labels[:, None] == np.arange(n_classes)
    settings: dict[int, list[Setting]] = {i: [] for i in range(len(options))}
    start: Tensor | None = None
    areas = np.empty(0)
    for c in cs:
        fit = problem.solve(penalties / (c * per_c), start, tolerance=1e-5)
        start = fit.coefficients
        for i, weights in enumerate(options):
            logits = fit.logits[..., i * n_folds : (i + 1) * n_folds][held_out[0], :, held_out[1]]
            areas = held_out_auroc(targets, torch.softmax(logits, dim=1).cpu().numpy(), fold, judged)
            if np.isnan(areas).all():
                raise UserError(
                    "C cannot be chosen by leaving patients out: no class is in patients of two folds; "
                    "give more patients, or a single C"
                )
            settings[i].append(Setting(c, weights, float(np.nanmean(areas))))
    unscored = tuple(int(k) for k in np.unique(labels) if np.isnan(areas[k]))
    return [setting for row in settings.values() for setting in row], unscored


def _balanced(y: Tensor, train: Tensor, n_classes: int) -> Tensor:
    """Weights that give each class present in a column of `train` (n, P) the same total; columns sum to 1."""
    total = torch.stack([train[y == k].sum(dim=0) for k in range(n_classes)])
    return train / (total * (total > 0).sum(dim=0)).clamp_min(1)[y]

"""The linear probe where a sample may belong to several classes, or to none: a binary regression for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.evaluation.checks import check_patients, check_targets
from ssl_ecg.evaluation.folds import held_out_auroc, multilabel_folds
from ssl_ecg.evaluation.logistic import BinaryRegressions
from ssl_ecg.evaluation.multilabel_scores import best_threshold
from ssl_ecg.evaluation.probes import (
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

# Shares of a class's entropy. The search is precise enough for a macro AUROC to .001, also where the penalty is weak.
_SEARCH, _FINAL = 1e-5, 1e-9


@dataclass(frozen=True, slots=True)
class MultilabelProbe(AffineProbe):
    """A fitted probe of classes that do not exclude each other.

    Attributes:
        thresholds: from which probability on to call a sample one of the class, for the largest F1 of what was held
            out, shape (K,); 0.5 where nothing of the class was.
    """

    thresholds: NDArray[np.float64]

    @property
    def decision(self) -> NDArray[np.float64]:
        """The thresholds."""
        return self.thresholds

    def predict_proba(self, blocks: Blocks) -> NDArray[np.float64]:
        """Probability of each class, shape (n, K)."""
        return _probability(self.logits(blocks))


def fit_multilabel_probe(
    blocks: Blocks,
    targets: NDArray[np.bool_],
    patients: NDArray[Any],
    *,
    cs: Sequence[float] = CS,
    block_weights: Mapping[str, Sequence[float]] | None = None,
    validation: NDArray[np.bool_] | None = None,
    n_folds: int = 5,
    judged: NDArray[np.bool_] | None = None,
    device: str | torch.device = "cpu",
) -> MultilabelProbe:
    """Fit an L2 logistic regression for each class, all at once, with C and block weights chosen on held-out patients.

    The objective of each class is scikit-learn's `LogisticRegression(C=c)` on features standardised with the
    training set's mean and standard deviation, each block then multiplied by its weight. Classes are not weighted to
    balance: what is scored ranks samples within a class, which such weights hardly change, and unweighted
    probabilities say how likely a class is.

    Where the data set has a validation split, that is what settings are judged by, and it is never fitted on: of
    PTB-XL, folds 1 to 8 are learned from, fold 9 chooses and fold 10 is the test (Strodthoff et al., "Deep learning
    for ECG analysis: benchmarks and insights from PTB-XL", 2021). Otherwise patients are left out in turn, and the
    probe is fitted on all in the end. Either way a setting's score is its `held_out_auroc`, averaged over the
    classes. One C serves all. Choosing one for each class would trust the few held-out samples of a rare one: over
    the ten folds of the PTB-XL subset, with an untrained encoder, it lost .002 (5 classes) and .005 (71) of the test
    AUROC.

    Args:
        blocks: named training features, each (n, d of the block), the largest usually first.
        targets: which of the K classes each sample belongs to, bool, shape (n, K).
        patients: whose each sample is, shape (n,).
        cs: values of C to choose from; a larger one regularises less.
        block_weights: candidates for the weight of a block. The first block's weight is 1 and that of
            others one of `BLOCK_WEIGHTS` unless given here.
        validation: the samples of the validation split, shape (n,); None to leave out patients in turn.
        n_folds: where patients are left out; fewer are made where there are fewer patients.
        judged: which of the held-out samples settings are scored on, shape (n,); all by default. An encoder embeds
            the patients it was pretrained on better than new ones, so those it has not seen should judge.
        device: where to compute.

    Raises:
        UserError: for features, targets or patients that do not fit each other, a patient on both sides of the
            validation split, for settings that are not positive, or if no class has samples to learn from or to
            judge by.
    """
    arrays = checked(blocks)
    n = len(next(iter(arrays.values())))
    targets = check_targets(targets, n, targets.shape[-1])
    learned = np.ones(n, dtype=np.bool_) if validation is None else ~validation
    _check_sides(targets, patients, learned)
    options = weightings(list(arrays), block_weights)
    cs = ascending(cs)

    labels = torch.from_numpy(targets).to(device)
    weight = torch.from_numpy(learned[:, None] / learned.sum()).to(labels.device, torch.float32)
    design = Design(arrays, weight, learned)

    table: list[Setting] = []
    chosen = Setting(cs[0], options[0], float("nan"))
    unscored: tuple[int, ...] = ()
    held_out, counted = np.empty(targets.shape), np.zeros(n, dtype=np.bool_)
    if validation is not None or len(cs) * len(options) > 1:
        fold = multilabel_folds(patients, targets, n_folds) if validation is None else np.where(learned, -1, 0)
        table, chosen, held_out, unscored = _held_out(design, labels, fold, judged, cs, options)
        counted = fold >= 0 if judged is None else (fold >= 0) & judged

    rows = weight[:, 0] > 0
    problem = BinaryRegressions(design.x[rows].double(), labels[rows], weight[rows])
    penalties = design.penalties([chosen.weights]).repeat(1, targets.shape[1])
    fit = problem.solve(penalties / (chosen.c * learned.sum()), tolerance=_FINAL * problem.entropy)
    solution = fit.coefficients[:, 0]
    solution[-1] += problem.offset[0]
    if validation is not None:  # what it was not fitted on, the probe itself can say
        held_out = _by_fold(design.x, solution.to(design.x)[:, None], np.where(learned, -1, 0))
    thresholds = [best_threshold(*of) for of in zip(targets[counted].T, _probability(held_out[counted]).T, strict=True)]
    coefficients, intercept = design.turned_back(solution)
    return MultilabelProbe(
        chosen=chosen,
        table=tuple(table),
        unscored=unscored,
        sizes=design.sizes,
        mean=design.mean,
        scale=design.scale,
        coefficients=coefficients,
        intercept=intercept,
        converged=bool(fit.converged.all()),
        # A class that nobody had in training is never predicted, whoever has it in the validation split.
        thresholds=np.where(targets[learned].any(axis=0), thresholds, 0.5),
    )


def _held_out(
    design: Design,
    targets: Tensor,
    fold: NDArray[np.int64],
    judged: NDArray[np.bool_] | None,
    cs: Sequence[float],
    options: Sequence[Weights],
) -> tuple[list[Setting], Setting, NDArray[np.float64], tuple[int, ...]]:
    """Score every setting: all classes, folds and weightings are solved together, from each C on to the next.

    Returns:
        The settings; the best of them; its logits of each sample by the model its fold was held out of, shape (n, K);
        and the classes that had no say.
    """
    k = targets.shape[1]
    n_folds = int(fold.max()) + 1
    train = torch.from_numpy(fold[:, None] != np.arange(n_folds)).to(design.x)
    rows = train.any(dim=1)  # a validation split takes no part in the products
    shape = (len(options), n_folds, k)
    weights = (train / train.sum(dim=0))[rows][:, None, :, None].expand(-1, *shape).flatten(1)
    problem = BinaryRegressions(design.x[rows], targets[rows].repeat(1, len(options) * n_folds), weights)
    penalties = design.penalties(options).repeat_interleave(n_folds * k, dim=1)
    samples = train.sum(dim=0)[:, None].expand(shape).flatten()
    truth = targets.cpu().numpy()
    settings: dict[int, list[Setting]] = {i: [] for i in range(len(options))}
    start: Tensor | None = None
    chosen: tuple[Setting, NDArray[np.float64]] | None = None
    areas = np.empty(0)
    for c in cs:
        fit = problem.solve(penalties / (c * samples), start, tolerance=_SEARCH * problem.entropy)
        start = fit.coefficients
        found = torch.cat([start[:-1, 0], start[-1:, 0] + problem.offset]).unflatten(1, shape)
        for i, weighting in enumerate(options):
            logits = _by_fold(design.x, found[:, i], fold)
            areas = held_out_auroc(truth, logits, fold, judged)
            if np.isnan(areas).all():
                raise UserError(
                    "C cannot be chosen on held-out patients: no class has samples both to learn from and to judge "
                    "by; give more patients, or a single C"
                )
            setting = Setting(c, weighting, float(np.nanmean(areas)))
            settings[i].append(setting)
            if chosen is None or best([chosen[0], setting]) is setting:
                chosen = setting, logits
    assert chosen is not None
    unscored = tuple(int(i) for i in np.flatnonzero(np.isnan(areas)))
    return [setting for row in settings.values() for setting in row], *chosen, unscored


def _by_fold(x: Tensor, solutions: Tensor, fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits of each sample by the solution (d + 1, folds, K) its fold was held out of, shape (n, K); 0 without one."""
    logits = np.zeros((len(x), solutions.shape[2]))
    for f in range(solutions.shape[1]):
        rows = np.flatnonzero(fold == f)
        logits[rows] = (x[rows] @ solutions[:-1, f] + solutions[-1, f]).cpu().numpy()
    return logits


def _probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = torch.from_numpy(logits).sigmoid().numpy()
    return p


def _check_sides(targets: NDArray[np.bool_], patients: NDArray[Any], learned: NDArray[np.bool_]) -> None:
    names, patient = check_patients(patients, len(targets))
    if learned.shape != patient.shape:
        raise UserError(f"expected a validation mask of shape {patient.shape}, got {learned.shape}")
    both = np.intersect1d(patient[learned], patient[~learned])
    if len(both):
        raise UserError(f"{len(both)} patient(s) are on both sides of the validation split, such as {names[both[0]]}")
    some = targets[learned]
    if not (some.any(axis=0) & ~some.all(axis=0)).any():
        raise UserError("a probe needs a class that some of the samples it learns from have and others lack")

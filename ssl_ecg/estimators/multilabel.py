"""The linear probe where a sample may belong to several classes, or to none: a binary regression for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.logistic import BinaryRegressions
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
from ssl_ecg.metrics.checks import check_patients, check_targets
from ssl_ecg.metrics.folds import held_out_auroc, multilabel_folds
from ssl_ecg.metrics.multilabel import best_threshold

# Shares of a class's entropy. The search is precise enough for a macro AUROC to .0005, also where the penalty is weak.
_SEARCH, _FINAL = 1e-7, 1e-9

_LOGITS = 50_000_000  # held at a time: some GB with what the solver keeps beside them


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
        return probability(self.logits(blocks))


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
    check_sides(patients, learned, n)
    some = targets[learned]
    if not (some.any(axis=0) & ~some.all(axis=0)).any():
        raise UserError("a probe needs a class that some of the samples it learns from have and others lack")
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
        held_out = held_out_logits(design.x, solution.to(design.x)[:, None], np.where(learned, -1, 0))
    thresholds = [best_threshold(*of) for of in zip(targets[counted].T, probability(held_out[counted]).T, strict=True)]
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
    """Score every setting: all classes, folds and settings are solved together.

    Returns:
        The settings; the best of them; its logits of each sample by the model its fold was held out of, shape (n, K);
        and the classes that had no say.
    """
    n_folds = int(fold.max()) + 1
    settings = [Setting(c, weights, float("nan")) for weights in options for c in cs]
    train = torch.from_numpy(fold[:, None] != np.arange(n_folds)).to(design.x.device)
    strengths = torch.tensor([setting.c for setting in settings]).to(design.x)
    found = solve_grid(design.x, targets, train, design.penalties([s.weights for s in settings]) / strengths)
    truth = targets.cpu().numpy()
    table: list[Setting] = []
    chosen: tuple[Setting, NDArray[np.float64]] | None = None
    areas = np.empty(0)
    for i, setting in enumerate(settings):
        logits = held_out_logits(design.x, found[:, i], fold)
        areas = held_out_auroc(truth, logits, fold, judged)
        if np.isnan(areas).all():
            raise UserError(
                "C cannot be chosen on held-out patients: no class has samples both to learn from and to judge "
                "by; give more patients, or a single C"
            )
        table.append(replace(setting, macro_auroc=float(np.nanmean(areas))))
        if chosen is None or best([chosen[0], table[-1]]) is table[-1]:
            chosen = table[-1], logits
    assert chosen is not None
    return table, *chosen, tuple(int(i) for i in np.flatnonzero(np.isnan(areas)))


def solve_grid(x: Tensor, targets: Tensor, train: Tensor, penalties: Tensor) -> Tensor:
    """Fit every class on every training set with every penalty: all of them problems of one solver.

    Args:
        x: features, shape (n, d).
        targets: which of the K classes each sample belongs to, bool, shape (n, K).
        train: the samples of each of F training sets, bool, shape (n, F); what is in none takes no part.
        penalties: of each feature under each of S settings, as scikit-learn counts them: block weights over C, shape
            (d, S).

    Returns:
        Coefficients, the last row the intercepts, shape (d + 1, S, F, K), as precise as the search needs.
    """
    rows = train.any(dim=1)
    x, targets, train = x[rows], targets[rows], train[rows].to(x)
    samples = train.sum(dim=0)
    (n, k), n_sets = targets.shape, train.shape[1]
    at_once = max(1, _LOGITS // (n * n_sets * k))
    parts = []
    for some in penalties.split(at_once, dim=1):
        shape = (some.shape[1], n_sets, k)
        weights = train / samples
        if n_sets > 1:  # else one column serves all problems
            weights = weights[:, None, :, None].expand(-1, *shape).flatten(1)
        problem = BinaryRegressions(x, targets.repeat(1, shape[0] * n_sets), weights)
        ridge = (some[:, :, None] / samples)[..., None].expand(-1, *shape).flatten(1)
        found = problem.solve(ridge, tolerance=_SEARCH * problem.entropy).coefficients[:, 0]
        found[-1] += problem.offset[0]
        parts.append(found.unflatten(1, shape))
    return torch.cat(parts, dim=1)


def held_out_logits(x: Tensor, solutions: Tensor, fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits of each sample by the solution (d + 1, folds, K) its fold was held out of, shape (n, K); 0 without one."""
    logits = np.zeros((len(x), solutions.shape[2]))
    for f in range(solutions.shape[1]):
        rows = np.flatnonzero(fold == f)
        logits[rows] = (x[rows] @ solutions[:-1, f] + solutions[-1, f]).cpu().numpy()
    return logits


def probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """What logits say, element by element, without overflow."""
    p: NDArray[np.float64] = torch.from_numpy(logits).sigmoid().numpy()
    return p


def check_sides(patients: NDArray[Any], learned: NDArray[np.bool_], n: int) -> None:
    """Refuse a patient whom a probe would both learn from and be judged by.

    Args:
        patients: whose each of n samples is, shape (n,).
        learned: which samples it learns from, shape (n,); the others are the validation split.
        n: how many samples there are.

    Raises:
        UserError: naming such a patient, or for arrays of another shape.
    """
    names, patient = check_patients(patients, n)
    if learned.shape != patient.shape:
        raise UserError(f"expected a validation mask of shape {patient.shape}, got {learned.shape}")
    both = np.intersect1d(patient[learned], patient[~learned])
    if len(both):
        raise UserError(f"{len(both)} patient(s) are on both sides of the validation split, such as {names[both[0]]}")

"""The linear probe: L2 logistic regression on frozen features, for classes that exclude each other or do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import (
    Blocks,
    Design,
    Weights,
    ascending,
    checked,
    held_out_auroc,
    patient_folds,
    random_folds,
    weightings,
)
from ssl_ecg.estimators.logistic import BinaryRegressions, SoftmaxRegressions
from ssl_ecg.metrics.scores import ENOUGH, best_threshold, check_labels, check_patients, check_targets, mean_defined

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
How = Literal["given", "default", "cross-validation", "validation split"]

CS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)

# Shares of a class's entropy. The search is precise enough for a macro AUROC to .0005, also where the penalty is weak.
_SEARCH, _FINAL = 1e-7, 1e-9
_FEW, _DEALS = 50, 5  # patients below which several deals into folds are averaged
_LOGITS = 50_000_000  # held at a time: some GB with what the solver keeps beside them


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a probe: C as scikit-learn counts it, the weight of each standardised block, and its score.

    The score is that of held-out predictions (`held_out_auroc`), NaN where nothing was, or could be, held out.
    """

    c: float
    weights: Weights
    macro_auroc: float


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """A fitted probe: one logit per class, affine in the features.

    Attributes:
        chosen: the setting it was fitted with.
        table: every setting that was tried, C ascending within each weighting.
        how: what chose.
        unscored: class indices that had no say in the choice: what was held out could not score them.
        exclusive: whether each sample belongs to one class.
        decision: what decides beside the probabilities, shape (K,): how common each class was in training where
            classes exclude each other (the priors), else from which probability on a sample is one of the class: the
            threshold of the largest F1 of what was held out, 0.5 where nothing of the class was.
        sizes, mean, scale: as of the `Design` it was fitted on.
        coefficients: of the standardised features, shape (d, K).
        intercept: shape (K,).
        converged: False if the solver gave up before its tolerance.
    """

    chosen: Setting
    table: tuple[Setting, ...]
    how: How
    unscored: tuple[int, ...]
    exclusive: bool
    decision: Array
    sizes: dict[str, int]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]
    converged: bool

    def logits(self, blocks: Blocks) -> Array:
        """Logit of each class, shape (n, K); UserError if the blocks, each (n, d of it), are not those of the fit."""
        x = np.concatenate(list(checked(blocks).values()), axis=1)
        sizes = {name: np.shape(block)[1] for name, block in blocks.items()}
        if list(sizes.items()) != list(self.sizes.items()):
            raise UserError(f"the probe was fitted on blocks {self.sizes}, got {sizes}")
        return ((x - self.mean) / self.scale @ self.coefficients + self.intercept).astype(np.float64)

    def predict_proba(self, blocks: Blocks) -> Array:
        """Probability of each class, shape (n, K), as `logits`; rows sum to 1 where classes exclude each other."""
        logits = self.logits(blocks)
        if not self.exclusive:
            return _sigmoid(logits)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(p / p.sum(axis=1, keepdims=True))


def fit_probe(
    blocks: Blocks,
    y: NDArray[Any],
    patients: NDArray[Any],
    n_classes: int | None = None,
    *,
    cs: Sequence[float] = CS,
    block_weights: Mapping[str, Sequence[float]] | None = None,
    validation: Mask | None = None,
    n_folds: int = 5,
    judged: Mask | None = None,
    few: bool = False,
    device: str | torch.device = "cpu",
) -> LinearProbe:
    """Fit an L2 logistic regression, with C and block weights chosen on held-out patients.

    Where classes exclude each other, it is a class-balanced softmax regression, scikit-learn's
    `LogisticRegression(C=c, class_weight="balanced")`; else a binary regression for each class, all solved at once,
    not balanced: what is scored ranks samples within a class, which such weights hardly change, and unweighted
    probabilities say how likely a class is. Features are standardised with the mean and standard deviation of the
    samples learned from, each block then multiplied by its weight.

    A validation split chooses the settings and is never fitted on: of PTB-XL, folds 1 to 8 are learned from, fold 9
    chooses and fold 10 is the test (Strodthoff et al., "Deep learning for ECG analysis: benchmarks and insights from
    PTB-XL", 2021). Without one, patients are left out in turn, and the probe is fitted on all in the end. A setting's
    score is its `held_out_auroc`, averaged over the classes: of the pairs that were held out together, the share ranked
    rightly; of fewer than 50 patients, the mean over five deals of them, since one deal is much a matter of who learns
    from whom. Pooling the folds would compare probabilities of different models, and was seen to prefer the most
    overfitted ones. The best score wins; between equals, the stronger penalty. One C serves all classes: choosing one
    for each trusts the few held-out samples of a rare one, and lost .002 (5 classes) and .005 (71) of the test AUROC
    over the ten folds of the PTB-XL subset, with an untrained encoder.

    Args:
        blocks: named training features, each (n, d of the block), the largest usually first.
        y: class indices (n,) where classes exclude each other; else which of the K classes each has, bool (n, K).
        patients: whose each sample is, shape (n,).
        n_classes: K; needed for class indices alone.
        cs: values of C to choose from; a larger one regularises less.
        block_weights: candidates for the weight of a block; unless given, 1 for the first, `BLOCK_WEIGHTS` for others.
        validation: the samples of the validation split, shape (n,); None to leave out patients in turn.
        n_folds: where patients are left out; fewer are made where there are fewer patients.
        judged: which of the held-out samples settings are scored on, shape (n,); all by default. An encoder embeds the
            patients it was pretrained on better than new ones, so those it has not seen should judge.
        few: for draws of few labels, of (n, K) targets. Where fewer than five patients could judge, or have no class to
            rank, C is the one of the grid nearest to 1 / d on a log scale, the reciprocal of the mean squared length of
            standardised features (Joachims, "Making large-scale SVM learning practical", 1999), in place of an error;
            fewer than five of `judged` leave the judging to all. The chosen fit is that of the search, not a finer one.
        device: where to compute.

    Raises:
        UserError: for features, labels or patients that do not fit each other, a patient on both sides of the
            validation split, settings that are not positive, or no class to learn from or to judge by.
    """
    arrays = checked(blocks)
    n, exclusive = len(next(iter(arrays.values()))), np.ndim(y) == 1
    k = n_classes or np.shape(y)[-1]
    if exclusive:
        y = check_labels(y, n, k)
    targets = y[:, None] == np.arange(k) if exclusive else check_targets(y, n, k)
    learned = np.ones(n, dtype=np.bool_) if validation is None else ~validation
    patient = _check_sides(patients, learned, n)
    here = targets[learned]
    if not few and not (here.any(axis=0) & ~here.all(axis=0)).any():
        raise UserError("a probe needs a class that some of the samples it learns from have and others lack")
    options, cs = weightings(list(arrays), block_weights), ascending(cs)

    labels = torch.from_numpy(targets).to(device)
    equal = torch.from_numpy(learned[:, None] / learned.sum()).to(labels.device, torch.float32)
    weight = _balanced(labels, (equal > 0).float()) if exclusive else equal
    design = Design(arrays, weight, learned)
    settings = [Setting(c, weights, float("nan")) for weights in options for c in cs]

    fold = np.where(learned, -1, 0)
    searched = few or validation is not None or len(settings) > 1
    deals = [fold]
    if validation is None and searched and not (few and _people(patient) < ENOUGH):
        deals = [fold := patient_folds(patients, targets, n_folds)]
        if not few and _people(patient) < _FEW:
            deals += [random_folds(patients, int(fold.max()) + 1, seed) for seed in range(1, _DEALS)]
    judges = fold >= 0
    if judged is not None and not (few and _people(patient[judges & judged]) < ENOUGH):
        judges &= judged
    how: How = "given"
    chosen, areas, solution = 0, np.full((1, k), np.nan), None
    held_out = np.zeros((1, n, k))
    if searched:
        search, ranked = search_softmax if exclusive else _search_binary, []
        folds = range(int(fold.max()) + 1) if validation is None else ()
        for deal in reversed(deals):  # the first one last: it is kept
            train = [learned & (deal != f) for f in folds] + ([learned] if few or validation is not None else [])
            held_out, found = search(design, labels, torch.from_numpy(np.stack(train, axis=1)), deal, options, cs)
            ranked.append([held_out_auroc(targets, p, deal, judges) for p in held_out])
        areas = mean_defined(np.array(ranked))
        how = "cross-validation" if validation is None else "validation split"
        if np.isnan(areas).all() or (few and _people(patient[judges]) < ENOUGH):
            if not few:
                raise UserError(
                    "C cannot be chosen on held-out patients: no class has samples both to learn from and to judge by; "
                    "give more patients, or a single C"
                )
            how, areas, judges = "default", np.full_like(areas, np.nan), np.zeros_like(judges)
            chosen = int(np.abs(np.log(np.array(cs) * len(design.mean))).argmin())
        settings = [Setting(s.c, s.weights, float(mean_defined(of))) for s, of in zip(settings, areas, strict=True)]
        if how != "default":
            chosen = settings.index(max(settings, key=lambda s: (s.macro_auroc, -s.c)))
        solution = found[:, chosen, -1] if few and found is not None else None
    converged = True
    if solution is None:
        regularised = design.penalties([settings[chosen].weights]) / (settings[chosen].c * int(learned.sum()))
        solution, converged = _solve(design.x, labels, weight, regularised, exclusive)
    coefficients, intercept = design.turned_back(solution)
    if exclusive:
        decision = here.mean(axis=0)
    else:
        logits = held_out[chosen]
        if validation is not None and not few:  # what it was not fitted on, the probe itself can say
            logits = _held_out_logits(design.x, solution.to(design.x)[:, None], fold)
        judges = judges if searched else np.zeros(n, dtype=np.bool_)
        pairs = zip(targets[judges].T, _sigmoid(logits[judges]).T, strict=True)
        # A class that nobody had in training is never predicted, whoever has it in the validation split.
        decision = np.where(here.any(axis=0), [best_threshold(*of) for of in pairs], 0.5)
    return LinearProbe(
        chosen=settings[chosen],
        table=tuple(settings) if searched else (),
        how=how,
        unscored=tuple(np.flatnonzero(np.isnan(areas[-1])).tolist()) if searched else (),
        exclusive=exclusive,
        decision=decision,
        sizes=design.sizes,
        mean=design.mean,
        scale=design.scale,
        coefficients=coefficients,
        intercept=intercept,
        converged=converged,
    )


def _solve(x: Tensor, targets: Tensor, weight: Tensor, penalties: Tensor, exclusive: bool) -> tuple[Tensor, bool]:
    """Coefficients and intercepts (d + 1, K) in double precision, and whether the solver got there."""
    rows = weight[:, 0] > 0
    x, targets, weight = x[rows].double(), targets[rows], weight[rows]
    if exclusive:
        softmax = SoftmaxRegressions(x, targets, weight)
        fit = softmax.solve(penalties, tolerance=_FINAL)
        solution, offset = fit.coefficients[..., 0], softmax.offset[:, 0]
    else:
        binary = BinaryRegressions(x, targets, weight)
        fit = binary.solve(penalties.repeat(1, targets.shape[1]), tolerance=_FINAL * binary.entropy)
        solution, offset = fit.coefficients[:, 0], binary.offset[0]
    solution[-1] += offset
    return solution, bool(fit.converged.all())


def search_softmax(
    design: Design, targets: Tensor, train: Tensor, fold: NDArray[np.int64], options: list[Weights], cs: list[float]
) -> tuple[NDArray[Any], None]:
    """Held-out probabilities of every setting, shape (S, n, K): folds and weightings are solved together, C by C."""
    x, train = design.x, train.to(design.x)
    n_folds = train.shape[1]
    problem = SoftmaxRegressions(x, targets, _balanced(targets, train).repeat(1, len(options)))
    penalties = design.penalties(options).repeat_interleave(n_folds, dim=1)
    samples = train.sum(dim=0).repeat(len(options))
    rows, held_out = torch.arange(len(x), device=x.device), torch.from_numpy(fold).to(x.device)
    found: list[list[NDArray[Any]]] = [[] for _ in options]
    start: Tensor | None = None
    for c in cs:
        fit = problem.solve(penalties / (c * samples), start, tolerance=1e-5)
        start = fit.coefficients
        for i, mine in enumerate(found):
            logits = fit.logits[..., i * n_folds : (i + 1) * n_folds][rows, :, held_out]
            mine.append(torch.softmax(logits, dim=1).cpu().numpy())
    return np.stack([p for mine in found for p in mine]), None


def _search_binary(
    design: Design, targets: Tensor, train: Tensor, fold: NDArray[np.int64], options: list[Weights], cs: list[float]
) -> tuple[NDArray[Any], Tensor]:
    """Held-out logits of every setting (S, n, K), and every solution (d + 1, S, F, K): all are problems of one solver.

    Samples that are in no training set take no part.
    """
    rows = train.any(dim=1).to(design.x.device)
    strengths = torch.tensor([c for _ in options for c in cs]).to(design.x)
    penalties = design.penalties([weights for weights in options for _ in cs]) / strengths
    x, y, sets = design.x[rows], targets[rows], train.to(design.x)[rows]
    samples = sets.sum(dim=0)
    (n, k), n_sets = y.shape, sets.shape[1]
    parts = []
    for some in penalties.split(max(1, _LOGITS // (n * n_sets * k)), dim=1):
        shape = (some.shape[1], n_sets, k)
        weights = sets / samples
        if n_sets > 1:  # else one column serves all problems
            weights = weights[:, None, :, None].expand(-1, *shape).flatten(1)
        problem = BinaryRegressions(x, y.repeat(1, shape[0] * n_sets), weights)
        ridge = (some[:, :, None] / samples)[..., None].expand(-1, *shape).flatten(1)
        found = problem.solve(ridge, tolerance=_SEARCH * problem.entropy).coefficients[:, 0]
        found[-1] += problem.offset[0]
        parts.append(found.unflatten(1, shape))
    solutions = torch.cat(parts, dim=1)
    held_out = [_held_out_logits(design.x, solutions[:, s], fold) for s in range(solutions.shape[1])]
    return np.stack(held_out), solutions


def _held_out_logits(x: Tensor, solutions: Tensor, fold: NDArray[np.int64]) -> Array:
    """Logits of each sample by the solution (d + 1, F, K) its fold was held out of, shape (n, K); 0 without one."""
    logits = np.zeros((len(x), solutions.shape[2]))
    for f in range(int(fold.max()) + 1):
        rows = np.flatnonzero(fold == f)
        logits[rows] = (x[rows] @ solutions[:-1, f] + solutions[-1, f]).cpu().numpy()
    return logits


def _balanced(targets: Tensor, train: Tensor) -> Tensor:
    """Weights that give each class present in a column of `train` (n, P) the same total; columns sum to 1."""
    total = torch.stack([train[yes].sum(dim=0) for yes in targets.T])
    y = targets.int().argmax(dim=1)
    return train / (total * (total > 0).sum(dim=0)).clamp_min(1)[y]


def _sigmoid(logits: Array) -> Array:
    """Probabilities, without overflow."""
    p: Array = torch.from_numpy(logits).sigmoid().numpy()
    return p


def _people(patient: NDArray[np.int64]) -> int:
    return len(np.unique(patient))


def _check_sides(patients: NDArray[Any], learned: Mask, n: int) -> NDArray[np.int64]:
    """Number each sample's patient; refuse one whom a probe would both learn from and be judged by."""
    names, patient = check_patients(patients, n)
    if learned.shape != patient.shape:
        raise UserError(f"expected a validation mask of shape {patient.shape}, got {learned.shape}")
    both = np.intersect1d(patient[learned], patient[~learned])
    if len(both):
        raise UserError(f"{len(both)} patient(s) are on both sides of the validation split, such as {names[both[0]]}")
    return patient

"""The linear probe: class-balanced softmax regression on frozen features, tuned inside the training patients.

Features come in named blocks, such as a 512-dimensional embedding and four RR features. One L2 penalty for
all would let the many drown the few, so every block after the first has a weight, and the weights are chosen
together with C, by cross-validation that keeps each patient on one side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.evaluation.checks import check_features, check_labels
from ssl_ecg.evaluation.folds import patient_folds
from ssl_ecg.evaluation.logistic import SoftmaxRegressions
from ssl_ecg.evaluation.scores import auroc, prior_corrected

Blocks = Mapping[str, NDArray[np.floating[Any]]]

CS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)
BLOCK_WEIGHTS = (1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the probe and its cross-validated score.

    Attributes:
        c: inverse strength of the penalty, as scikit-learn counts it.
        weights: of each block, after standardisation.
        macro_auroc: of the held-out predictions (`fit_linear_probe` says how folds are joined); NaN if
            there was no choice to make.
    """

    c: float
    weights: dict[str, float]
    macro_auroc: float


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        chosen: the setting it was fitted with.
        table: every setting that was tried, C ascending within each weighting.
        unscored: class indices the cross-validation could not score: all their samples are one fold's.
        priors: how common each class was in training, shape (K,).
        sizes: columns of each block, in order.
        mean: of each training feature, shape (d,).
        scale: standard deviation of each training feature, 1 where it is constant, shape (d,).
        coefficients: of the standardised features, shape (d, K).
        intercept: shape (K,).
        converged: False if the solver gave up before its tolerance.
    """

    chosen: Setting
    table: tuple[Setting, ...]
    unscored: tuple[int, ...]
    priors: NDArray[np.float64]
    sizes: dict[str, int]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]
    converged: bool

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
        x = np.concatenate(list(_checked(blocks).values()), axis=1)
        sizes = {name: np.shape(block)[1] for name, block in blocks.items()}
        if list(sizes.items()) != list(self.sizes.items()):
            raise UserError(f"the probe was fitted on blocks {self.sizes}, got {sizes}")
        logits = ((x - self.mean) / self.scale @ self.coefficients + self.intercept).astype(np.float64)
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
    arrays = _checked(blocks)
    y = check_labels(y, len(next(iter(arrays.values()))), n_classes)
    if len(np.unique(y)) < 2:
        raise UserError(f"a probe needs samples of at least two classes, got only {np.unique(y).tolist()}")
    weightings = _weightings(list(arrays), block_weights)
    cs = sorted(set(map(float, cs)))
    if not cs or cs[0] <= 0:
        raise UserError(f"expected positive values of C, got {cs}")

    raw = np.concatenate(list(arrays.values()), axis=1)
    mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = raw.std(axis=0, dtype=np.float64).astype(np.float32)
    scale[scale <= 1e-6 * np.abs(mean) + 1e-12] = 1
    sizes = {name: block.shape[1] for name, block in arrays.items()}
    labels = torch.from_numpy(y).to(device)
    weight = _balanced(labels, torch.ones(len(y), 1, device=device), n_classes)
    x = torch.from_numpy((raw - mean) / scale).to(device)
    x, rotation, centre = _principal_axes(x, weight, list(sizes.values()))

    table: list[Setting] = []
    unscored: tuple[int, ...] = ()
    chosen = Setting(cs[0], weightings[0], float("nan"))
    if len(cs) * len(weightings) > 1:
        fold = patient_folds(patients, y, n_classes, n_folds)
        table, unscored = _cross_validate(x, labels, fold, judged, n_classes, cs, weightings, sizes)
        chosen = max(table, key=lambda setting: (setting.macro_auroc, -setting.c))

    problem = SoftmaxRegressions(x.double(), labels, weight, n_classes)
    fit = problem.solve(_penalties([chosen.weights], sizes, x) / (chosen.c * len(y)), tolerance=1e-9)
    coefficients = rotation.double() @ fit.coefficients[:-1, :, 0]
    intercept = fit.coefficients[-1, :, 0] + problem.offset[:, 0] - centre.double() @ coefficients
    return LinearProbe(
        chosen=chosen,
        table=tuple(table),
        unscored=unscored,
        priors=np.bincount(y, minlength=n_classes) / len(y),
        sizes=sizes,
        mean=mean,
        scale=scale,
        coefficients=coefficients.float().cpu().numpy(),
        intercept=intercept.float().cpu().numpy(),
        converged=bool(fit.converged.all()),
    )


def _cross_validate(
    x: Tensor,
    y: Tensor,
    fold: NDArray[np.int64],
    judged: NDArray[np.bool_] | None,
    n_classes: int,
    cs: Sequence[float],
    weightings: Sequence[dict[str, float]],
    sizes: Mapping[str, int],
) -> tuple[list[Setting], tuple[int, ...]]:
    """Score every setting. Folds and weightings are solved together, from each C on to the next."""
    n_folds = int(fold.max()) + 1
    train = torch.from_numpy(fold[:, None] != np.arange(n_folds)).to(x)
    problem = SoftmaxRegressions(x, y, _balanced(y, train, n_classes).repeat(1, len(weightings)), n_classes)
    penalties = _penalties(weightings, sizes, x).repeat_interleave(n_folds, dim=1)
    per_c = train.sum(dim=0).repeat(len(weightings))
    held_out = torch.arange(len(x), device=x.device), torch.from_numpy(fold).to(x.device)
    labels = y.cpu().numpy()
    settings: dict[int, list[Setting]] = {i: [] for i in range(len(weightings))}
    start: Tensor | None = None
    areas = np.empty(0)
    for c in cs:
        fit = problem.solve(penalties / (c * per_c), start, tolerance=1e-5)
        start = fit.coefficients
        for i, weights in enumerate(weightings):
            logits = fit.logits[..., i * n_folds : (i + 1) * n_folds][held_out[0], :, held_out[1]]
            areas = _held_out_auroc(labels, torch.softmax(logits, dim=1).cpu().numpy(), fold, judged)
            if np.isnan(areas).all():
                raise UserError(
                    "C cannot be chosen by leaving patients out: no class is in patients of two folds; "
                    "give more patients, or a single C"
                )
            settings[i].append(Setting(c, weights, float(np.nanmean(areas))))
    unscored = tuple(int(k) for k in np.unique(labels) if np.isnan(areas[k]))
    return [setting for row in settings.values() for setting in row], unscored


def _held_out_auroc(
    y: NDArray[np.int64], p: NDArray[np.float32], fold: NDArray[np.int64], judged: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """AUROC of each class over judged pairs from the same fold, shape (K,); NaN for one only one fold has."""
    right = np.zeros(p.shape[1])
    pairs = np.zeros(p.shape[1])
    for f in np.unique(fold):
        held = fold == f if judged is None else (fold == f) & judged
        for k in range(p.shape[1]):
            positive = y[held] == k
            n = positive.sum() * (~positive).sum()
            if n and (y[fold != f] == k).any():
                right[k] += n * auroc(positive, p[held, k])
                pairs[k] += n
    return np.where(pairs > 0, right / np.maximum(pairs, 1), np.nan)


def _balanced(y: Tensor, train: Tensor, n_classes: int) -> Tensor:
    """Weights that give each class present in a column of `train` (n, P) the same total; columns sum to 1."""
    total = torch.stack([train[y == k].sum(dim=0) for k in range(n_classes)])
    return train / (total * (total > 0).sum(dim=0)).clamp_min(1)[y]


def _principal_axes(x: Tensor, weight: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate each block to its principal axes: features (n, d), the rotation (d, d), the centre (d,)."""
    centre = (weight * x).sum(dim=0)
    x = x - centre
    turns = []
    for block in x.split(list(sizes), dim=1):
        moments = (block * weight).T @ block
        turns.append(torch.linalg.eigh(moments.double())[1].to(x))
    rotation = torch.block_diag(*turns)
    return x @ rotation, rotation, centre


def _penalties(weightings: Sequence[dict[str, float]], sizes: Mapping[str, int], like: Tensor) -> Tensor:
    """Penalty of every feature, shape (d, number of weightings): a block's weight divides it, squared."""
    columns = [[weights[name] ** -2 for name in sizes for _ in range(sizes[name])] for weights in weightings]
    return torch.tensor(columns).to(like).T


def _weightings(names: Sequence[str], candidates: Mapping[str, Sequence[float]] | None) -> list[dict[str, float]]:
    candidates = candidates or {}
    unknown = [name for name in candidates if name not in names]
    if unknown:
        raise UserError(f"weights for unknown blocks {unknown}; the blocks are {list(names)}")
    options = [candidates.get(name, BLOCK_WEIGHTS if i else (1.0,)) for i, name in enumerate(names)]
    if any(not len(values) or min(values) <= 0 for values in options):
        raise UserError(f"expected positive block weights, got {dict(zip(names, options, strict=True))}")
    return [dict(zip(names, map(float, values), strict=True)) for values in product(*options)]


def _checked(blocks: Blocks) -> dict[str, NDArray[np.float32]]:
    """The blocks as float32.

    Raises:
        UserError: if there are none, they differ in rows, or hold values that are not finite.
    """
    if not blocks:
        raise UserError("expected at least one block of features")
    arrays = {name: check_features(block, name) for name, block in blocks.items()}
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise UserError(f"the blocks differ in their number of samples: {rows}")
    return arrays

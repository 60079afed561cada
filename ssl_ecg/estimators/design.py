"""What a probe is fitted on, and how its settings are judged: blocks of features, penalties, folds of patients.

Features come in blocks, such as a 512-dimensional embedding and four RR features. One L2 penalty for all would let the
many drown the few, so every block after the first has a weight, and the weights are chosen together with C.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import auroc, check_features, check_patients

Blocks = Mapping[str, NDArray[np.floating[Any]]]
Weights = dict[str, float]

BLOCK_WEIGHTS = (1.0, 10.0, 100.0)


class Design:
    """Blocks as the solver likes them: standardised, centred, each rotated to its principal axes.

    `arrays` are features as `checked` gives them; centre and axes weigh each sample by `weight` (n, 1), which sums to 1
    and lies on the device to compute on; mean and standard deviation are those of the samples in `rows` (n,).

    Attributes:
        x: rotated features, shape (n, d), or fewer columns where a block has more of them than there are samples.
        sizes: columns of each block, in order.
        mean: of each feature, shape (d,).
        scale: standard deviation of each feature, 1 where it is constant, shape (d,).
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], weight: Tensor, rows: NDArray[np.bool_]) -> None:
        raw = np.concatenate(list(arrays.values()), axis=1)
        counted = raw if rows.all() else raw[rows]
        self.mean = counted.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale = counted.std(axis=0, dtype=np.float64).astype(np.float32)
        self.scale[self.scale <= 1e-6 * np.abs(self.mean) + 1e-12] = 1
        self.sizes = {name: block.shape[1] for name, block in arrays.items()}
        x = torch.from_numpy((raw - self.mean) / self.scale).to(weight.device)
        self._centre = (weight * x).sum(dim=0)
        x = x - self._centre
        rotations = [_principal_axes(block, weight) for block in x.split(list(self.sizes.values()), dim=1)]
        self._kept = {name: axes.shape[1] for name, axes in zip(self.sizes, rotations, strict=True)}
        self._rotation = torch.block_diag(*rotations)
        self.x = x @ self._rotation

    def penalties(self, weightings: Sequence[Weights]) -> Tensor:
        """Penalty of every feature, shape (d, number of weightings): a block's weight divides it, squared."""
        columns = [
            [weights[name] ** -2 for name, kept in self._kept.items() for _ in range(kept)] for weights in weightings
        ]
        return torch.tensor(columns).to(self.x).T

    def turned_back(self, solution: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coefficients (d, K) and intercepts (K,) of standardised features, from a solution (d + 1, K) for `x`."""
        coefficients = self._rotation.double() @ solution[:-1].double()
        intercept = solution[-1].double() - self._centre.double() @ coefficients
        return coefficients.float().cpu().numpy(), intercept.float().cpu().numpy()


def _principal_axes(x: Tensor, weight: Tensor) -> Tensor:
    """Orthonormal axes along which weighted features (n, d) are uncorrelated, shape (d, min(n, d)).

    Of more features than samples, only what the samples span is kept: a penalised solution lies nowhere else.
    """
    if x.shape[1] <= x.shape[0]:
        axes: Tensor = torch.linalg.eigh(((x * weight).T @ x).double())[1]
        return axes.to(x)
    basis = torch.linalg.qr(x.T.double())[0].to(x)
    turned: Tensor = basis @ _principal_axes(x @ basis, weight)
    return turned


def ascending(cs: Sequence[float]) -> list[float]:
    """The distinct values of C, the strongest penalty first; UserError if there are none, or one is not positive."""
    values = sorted(set(map(float, cs)))
    if not values or values[0] <= 0:
        raise UserError(f"expected positive values of C, got {values}")
    return values


def weightings(names: Sequence[str], candidates: Mapping[str, Sequence[float]] | None) -> list[Weights]:
    """Every combination of block weights: 1 for the first block, `BLOCK_WEIGHTS` for others, unless given.

    UserError for a weight that is not positive, or of no block.
    """
    candidates = candidates or {}
    if unknown := [name for name in candidates if name not in names]:
        raise UserError(f"weights for unknown blocks {unknown}; the blocks are {list(names)}")
    options = [candidates.get(name, BLOCK_WEIGHTS if i else (1.0,)) for i, name in enumerate(names)]
    if any(not len(values) or min(values) <= 0 for values in options):
        raise UserError(f"expected positive block weights, got {dict(zip(names, options, strict=True))}")
    return [dict(zip(names, map(float, values), strict=True)) for values in product(*options)]


def checked(blocks: Blocks) -> dict[str, NDArray[np.float32]]:
    """The blocks as float32; UserError if there are none, they differ in rows, or hold values that are not finite."""
    if not blocks:
        raise UserError("expected at least one block of features")
    arrays = {name: check_features(block, name) for name, block in blocks.items()}
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise UserError(f"the blocks differ in their number of samples: {rows}")
    return arrays


def patient_folds(patients: NDArray[Any], targets: NDArray[np.bool_], n_folds: int = 5) -> NDArray[np.int64]:
    """Deal patients into folds that hold a like share of every class: the fold of each sample, shape (n,).

    In arrhythmia data a class can be nearly one person's: MIT-BIH's record 208 has nine of ten fusion beats of DS1.
    Patients are therefore dealt out greedily, those with the largest share of any class first, each to the fold that
    leaves the classes spread most evenly, as scikit-learn's StratifiedGroupKFold does, but counting a class by shares
    so that a rare one weighs as much as a common one. Deterministic.

    `patients` has shape (n,), targets (n, K). Where there are fewer patients, fewer folds are made; UserError for fewer
    than two of either.
    """
    names, patient = check_patients(patients, len(targets))
    if len(names) < 2 or n_folds < 2:
        raise UserError(f"cross-validation by patient needs two patients and two folds, got {len(names)} and {n_folds}")
    n_folds = min(n_folds, len(names))
    counts = np.zeros((len(names), targets.shape[1]))
    np.add.at(counts, patient, targets)
    samples = np.bincount(patient)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    held = np.zeros((n_folds, targets.shape[1]))
    size = np.zeros(n_folds)
    fold_of = np.empty(len(names), dtype=np.int64)
    for p in np.argsort(-shares.max(axis=1), kind="stable"):
        after = held[None] + np.eye(n_folds)[:, :, None] * shares[p]
        uneven = after.std(axis=1).mean(axis=1)
        best = np.lexsort((size, np.round(uneven, 12)))[0]
        fold_of[p] = best
        held[best] += shares[p]
        size[best] += samples[p]
    return fold_of[patient]


def random_folds(patients: NDArray[Any], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal patients into folds of like numbers of them, by a seed: the fold of each sample, shape (n,)."""
    names, patient = np.unique(patients, return_inverse=True)
    dealt: NDArray[np.int64] = np.random.default_rng(seed).permutation(np.arange(len(names)) % n_folds)[patient]
    return dealt


def held_out_auroc(
    targets: NDArray[np.bool_],
    scores: NDArray[np.floating[Any]],
    fold: NDArray[np.int64],
    judged: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """AUROC of each class over judged pairs that were held out together, shape (K,).

    Of all pairs of a sample of the class and one of another in the same fold, the share ranked rightly. Pooling the
    folds instead would compare scores of different models. NaN for a class without pairs, or that could not be learned
    because one fold alone has it. Targets, and scores by the model that a sample's fold was held out of, are (n, K);
    `fold` (n,) is negative for samples that were never held out; `judged` (n,) says which count, all by default.
    """
    right = np.zeros(targets.shape[1])
    pairs = np.zeros(targets.shape[1])
    for f in np.unique(fold[fold >= 0]):
        held = fold == f if judged is None else (fold == f) & judged
        for k in range(targets.shape[1]):
            positive = targets[held, k]
            n = positive.sum() * (~positive).sum()
            if n and targets[fold != f, k].any():
                right[k] += n * auroc(positive, scores[held, k])
                pairs[k] += n
    return np.where(pairs > 0, right / np.maximum(pairs, 1), np.nan)

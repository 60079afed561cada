"""What linear probes share: named blocks of features, made ready for the solver, and the fitted affine map.

Features come in named blocks, such as a 512-dimensional embedding and four RR features. One L2 penalty for
all would let the many drown the few, so every block after the first has a weight, and the weights are chosen
together with C.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.checks import check_features

Blocks = Mapping[str, NDArray[np.floating[Any]]]
Weights = dict[str, float]

CS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)
BLOCK_WEIGHTS = (1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a probe and the score it was judged by.

    Attributes:
        c: inverse strength of the penalty, as scikit-learn counts it.
        weights: of each block, after standardisation.
        macro_auroc: of the held-out predictions (`folds.held_out_auroc` says how folds are joined); NaN if
            there was no choice to make.
    """

    c: float
    weights: Weights
    macro_auroc: float


@dataclass(frozen=True, slots=True)
class AffineProbe(ABC):
    """A fitted probe: one logit per class, affine in the features.

    Attributes:
        chosen: the setting it was fitted with.
        table: every setting that was tried, C ascending within each weighting.
        unscored: class indices that had no say in the choice: what was held out could not score them.
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
    sizes: dict[str, int]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]
    converged: bool

    @property
    @abstractmethod
    def decision(self) -> NDArray[np.float64]:
        """What, beside the probabilities, decides on a sample's class or classes: priors or thresholds, shape (K,)."""

    @abstractmethod
    def predict_proba(self, blocks: Blocks) -> NDArray[np.float64]:
        """Probability of each class, shape (n, K).

        Args:
            blocks: the features the probe was fitted on, each (n, d of the block).

        Raises:
            UserError: if the blocks are not those of the fit.
        """

    def logits(self, blocks: Blocks) -> NDArray[np.float64]:
        """Logit of each class, shape (n, K).

        Args:
            blocks: the features the probe was fitted on, each (n, d of the block).

        Raises:
            UserError: if the blocks are not those of the fit.
        """
        x = np.concatenate(list(checked(blocks).values()), axis=1)
        sizes = {name: np.shape(block)[1] for name, block in blocks.items()}
        if list(sizes.items()) != list(self.sizes.items()):
            raise UserError(f"the probe was fitted on blocks {self.sizes}, got {sizes}")
        return ((x - self.mean) / self.scale @ self.coefficients + self.intercept).astype(np.float64)


class Design:
    """Blocks as the solver likes them: standardised, centred, each rotated to its principal axes.

    Args:
        arrays: features as `checked` gives them.
        weight: of each sample in the centre and the axes, sums to 1, shape (n, 1), on the device to compute on.
        rows: the samples whose mean and standard deviation count, shape (n,), bool; all by default.

    Attributes:
        x: rotated features, shape (n, d), or fewer columns where a block has more of them than there are samples.
        sizes: columns of each block, in order.
        mean: of each feature, shape (d,).
        scale: standard deviation of each feature, 1 where it is constant, shape (d,).
    """

    def __init__(
        self, arrays: Mapping[str, NDArray[np.float32]], weight: Tensor, rows: NDArray[np.bool_] | None = None
    ) -> None:
        raw = np.concatenate(list(arrays.values()), axis=1)
        counted = raw if rows is None else raw[rows]
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
        """Coefficients (d, K) and intercepts (K,) for standardised features.

        Args:
            solution: coefficients for `x`, the last row the intercepts, shape (d + 1, K).
        """
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


def best(table: Sequence[Setting]) -> Setting:
    """The setting of the best score; between equals, the stronger penalty."""
    return max(table, key=lambda setting: (setting.macro_auroc, -setting.c))


def ascending(cs: Sequence[float]) -> list[float]:
    """The distinct values of C, the strongest penalty first.

    Raises:
        UserError: if there are none, or one is not positive.
    """
    values = sorted(set(map(float, cs)))
    if not values or values[0] <= 0:
        raise UserError(f"expected positive values of C, got {values}")
    return values


def weightings(names: Sequence[str], candidates: Mapping[str, Sequence[float]] | None) -> list[Weights]:
    """Every combination of block weights: 1 for the first block, `BLOCK_WEIGHTS` for others, unless given.

    Raises:
        UserError: for a weight that is not positive, or of no block.
    """
    candidates = candidates or {}
    unknown = [name for name in candidates if name not in names]
    if unknown:
        raise UserError(f"weights for unknown blocks {unknown}; the blocks are {list(names)}")
    options = [candidates.get(name, BLOCK_WEIGHTS if i else (1.0,)) for i, name in enumerate(names)]
    if any(not len(values) or min(values) <= 0 for values in options):
        raise UserError(f"expected positive block weights, got {dict(zip(names, options, strict=True))}")
    return [dict(zip(names, map(float, values), strict=True)) for values in product(*options)]


def checked(blocks: Blocks) -> dict[str, NDArray[np.float32]]:
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

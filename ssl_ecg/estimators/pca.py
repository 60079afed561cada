"""Principal components of windows or features: what a linear model without labels makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """Fitted principal components: the mean of the samples, (C, T) or (d,), and axes, (C T or d, k), by variance.

    The largest entry of each axis is positive.
    """

    mean: Tensor
    axes: Tensor

    def __call__(self, windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Project samples of the shape of the fit, shape (n, k); UserError for another shape, or values not finite."""
        projected: NDArray[np.float32] = ((_flat(windows, self.mean.shape) - self.mean.flatten()) @ self.axes).numpy()
        return projected

    def residual(self, windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Mean squared error of each sample redrawn from its components, as by a linear autoencoder, shape (n,)."""
        x = _flat(windows, self.mean.shape) - self.mean.flatten()
        lost: NDArray[np.float32] = (x - x @ self.axes @ self.axes.T).square().mean(dim=1).numpy()
        return lost


def fit_pca(train: NDArray[np.floating[Any]], n_components: int = 64, seed: int = 0) -> PrincipalComponents:
    """Find at most min(n, C T) principal components of windows (n, C, T) or features (n, d), from a seed.

    They come from randomised subspace iteration (Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM
    Review 2011), which stays fast where a window has 12 x 1000 values; components whose variances are nearly equal may
    be mixed. UserError for fewer than two samples or one component, or values that are not finite.
    """
    if train.ndim < 2:
        raise UserError(f"expected windows (n, C, T) or features (n, d), got {train.shape}")
    check_components(n_components)
    if len(train) < 2:
        raise UserError(f"{len(train)} samples do not make {n_components} components")
    x = _flat(train, train.shape[1:])
    mean = x.mean(dim=0)
    return PrincipalComponents(mean.view(train.shape[1:]), _principal_axes(x - mean, n_components, seed))


def check_components(n: int) -> None:
    """Refuse, by a UserError, fewer than one component."""
    if n < 1:
        raise UserError(f"components must be at least 1, not {n}")


def _flat(windows: NDArray[np.floating[Any]], shape: tuple[int, ...]) -> Tensor:
    if windows.shape[1:] != tuple(shape):
        raise UserError(f"expected samples of the shape of the fit, {tuple(shape)}, got {windows.shape}")
    x = torch.from_numpy(np.asarray(windows, dtype=np.float32)).flatten(1)
    if bad := int((~x.isfinite().all(dim=1)).sum()):
        raise UserError(f"{bad} of {len(x)} samples hold values that are not finite")
    return x


def _principal_axes(x: Tensor, n_components: int, seed: int) -> Tensor:
    """Leading right singular vectors of x (n, d), shape (d, n_components)."""
    n_components = min(n_components, *x.shape)
    width = min(n_components + 16, *x.shape)
    basis = torch.randn(x.shape[1], width, generator=torch.Generator().manual_seed(seed))
    for _ in range(6):
        basis = torch.linalg.qr(x.T @ (x @ basis))[0]
    turn = torch.linalg.svd(x @ basis, full_matrices=False)[2].T
    axes: Tensor = (basis @ turn)[:, :n_components]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * largest.sign()

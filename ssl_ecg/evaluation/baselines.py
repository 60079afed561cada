"""What needs no network: principal components of the raw signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.errors import UserError


def pca_features(
    train: NDArray[np.floating[Any]],
    *others: NDArray[np.floating[Any]],
    n_components: int = 64,
    seed: int = 0,
) -> tuple[NDArray[np.float32], ...]:
    """Project windows on the principal components of the training windows.

    The components come from randomised subspace iteration (Halko, Martinsson & Tropp, "Finding structure
    with randomness", SIAM Review 2011), which stays fast where a window has 12 x 1000 values; components
    whose variances are nearly equal may be mixed.

    Args:
        train: windows, shape (n, C, T).
        others: windows to project too, each (m, C, T).
        n_components: at most min(n, C T) are made.
        seed: of the iteration's start.

    Returns:
        For `train` and each of `others`, the projections in order of training variance, shape
        (n, n_components); each component's sign makes its largest entry positive.

    Raises:
        UserError: for windows of different shapes, fewer than two of them, or values that are not finite.
    """
    if any(windows.ndim != 3 or windows.shape[1:] != train.shape[1:] for windows in (train, *others)):
        shapes = [windows.shape for windows in (train, *others)]
        raise UserError(f"expected windows (n, C, T) of the same C and T, got {shapes}")
    if len(train) < 2 or n_components < 1:
        raise UserError(f"{len(train)} training windows do not make {n_components} components")
    flat = [torch.from_numpy(np.asarray(w, dtype=np.float32)).flatten(1) for w in (train, *others)]
    for x in flat:
        if bad := int((~x.isfinite().all(dim=1)).sum()):
            raise UserError(f"{bad} of {len(x)} windows hold values that are not finite")
    mean = flat[0].mean(dim=0)
    axes = _principal_axes(flat[0] - mean, n_components, seed)
    return tuple(((x - mean) @ axes).numpy() for x in flat)


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

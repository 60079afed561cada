"""MiniRocket: features of ten thousand untrained convolutions, where the optional package `aeon` is installed.

Dempster, Schmidt & Webb, "MINIROCKET: a very fast (almost) deterministic transform for time series classification",
KDD 2021 (https://doi.org/10.1145/3447548.3467231). Each feature is the share of a window where one dilated convolution
exceeds a bias, a quantile of its output on training windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import check_windows

_BLOCK = 2048  # windows at a time: 80 MB of features
_PCA_WINDOWS = 10_000  # that the components are found on: 400 MB of features

Windows = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MiniRocket:
    """The fitted transform: aeon's `MiniRocket`, scikit-learn's `PCA` of its features or None, a window's (C, T)."""

    rocket: Any
    pca: Any
    shape: tuple[int, ...]

    def transform(self, windows: Windows) -> NDArray[np.float32]:
        """Compute the features of windows (n, C, T): shares from 0 to 1, or, with `components`, their projections.

        There are 84 x (n_kernels // 84). UserError for windows of another shape than those fitted on, or not finite.
        """
        x = check_windows(windows)
        if x.shape[1:] != self.shape:
            raise UserError(f"MiniRocket was fitted on windows (n, {self.shape[0]}, {self.shape[1]}), got {x.shape}")
        width = self.pca.n_components_ if self.pca is not None else len(self.rocket.parameters[-1])
        found = np.zeros((len(x), width), dtype=np.float32)
        for start in range(0, len(x), _BLOCK):
            made = np.asarray(self.rocket.transform(x[start : start + _BLOCK]), dtype=np.float32)
            found[start : start + _BLOCK] = made if self.pca is None else self.pca.transform(made)
        return found


def require_minirocket() -> None:
    """Refuse to go on without aeon: UserError with the remedy."""
    if find_spec("aeon") is None:
        raise UserError("MiniRocket needs the package aeon: pip install 'ssl-ecg[baselines]'")


def fit_minirocket(train: Windows, n_kernels: int = 10_000, seed: int = 0, components: int | None = None) -> MiniRocket:
    """Fit MiniRocket on training windows (n, C, T), two or more of at least 9 samples.

    There are `n_kernels` features, rounded down to a multiple of 84, and at least 84; or so many principal `components`
    of them (at most n): 50,000 beats have 2 GB of features. The components are those of 10,000 training windows spread
    evenly over all, by the randomised method of Halko, Martinsson & Tropp, SIAM Review 2011. `seed` is that of the
    choice of windows, of channels and of the components. UserError without aeon, or for windows that are too short, too
    few or not finite.
    """
    require_minirocket()
    x = check_windows(train)
    if len(x) < 2 or x.shape[-1] < 9:
        raise UserError(f"MiniRocket needs two windows or more of at least 9 samples, got shape {x.shape}")
    import numba
    import torch
    from aeon.transformations.collection.convolution_based import MiniRocket as AeonMiniRocket

    before = np.random.get_state()  # noqa: NPY002 - aeon seeds NumPy's global generator: leave it as it was
    try:
        threads = min(torch.get_num_threads(), int(numba.get_num_threads()))
        rocket = AeonMiniRocket(n_kernels=n_kernels, random_state=seed, n_jobs=threads)
        rocket.fit(x)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    fitted = MiniRocket(rocket, None, x.shape[1:])
    if components is None:
        return fitted
    from sklearn.decomposition import PCA

    few = x[np.linspace(0, len(x) - 1, min(len(x), _PCA_WINDOWS)).round().astype(np.int64)]
    features = fitted.transform(few)
    pca = PCA(min(components, *features.shape), svd_solver="randomized", random_state=seed).fit(features)
    return MiniRocket(rocket, pca, x.shape[1:])

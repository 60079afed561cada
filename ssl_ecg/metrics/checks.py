"""Checks of the arrays that metrics and estimators take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError


def check_labels(y: NDArray[np.integer[Any]], n: int, n_classes: int) -> NDArray[np.int64]:
    """The labels as int64, shape (n,); UserError unless they are n indices of the K classes."""
    y = np.asarray(y)
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise UserError(f"expected {n} integer labels, one per sample, got {y.dtype} of shape {y.shape}")
    if n and (y.min() < 0 or y.max() >= n_classes):
        raise UserError(f"labels run from {y.min()} to {y.max()}, expected 0 to {n_classes - 1}")
    return y.astype(np.int64)


def check_targets(targets: NDArray[Any], n: int, n_classes: int) -> NDArray[np.bool_]:
    """The classes each sample belongs to, shape (n, K); UserError unless they are bool and of that shape."""
    t = np.asarray(targets)
    if t.shape != (n, n_classes) or t.dtype != np.bool_:
        raise UserError(f"expected bool targets of shape ({n}, {n_classes}), got {t.dtype} of shape {t.shape}")
    return t


def check_patients(patients: NDArray[Any] | Sequence[str], n: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct patients, sorted, and each sample's index among them, shape (n,); UserError unless each has one."""
    patients = np.asarray(patients)
    if patients.shape != (n,):
        raise UserError(f"expected {n} patients, one per sample, got shape {patients.shape}")
    names, index = np.unique(patients, return_inverse=True)
    return names, index.astype(np.int64)


def check_probabilities(probabilities: NDArray[np.floating[Any]], n: int, n_classes: int) -> NDArray[np.float64]:
    """The probabilities (any scores where more means likelier) as float64; UserError unless (n, K) and finite."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (n, n_classes):
        raise UserError(f"expected probabilities of shape ({n}, {n_classes}), got {p.shape}")
    if not np.isfinite(p).all():
        raise UserError(f"{(~np.isfinite(p)).any(axis=1).sum()} of {n} rows of probabilities are not finite")
    return p


def check_features(features: NDArray[np.floating[Any]], name: str) -> NDArray[np.float32]:
    """The features as float32; UserError unless finite, of shape (n, d) and with rows and columns."""
    x = np.asarray(features, dtype=np.float32)
    if x.ndim != 2 or 0 in x.shape:
        raise UserError(f"expected {name} features of shape (n, d), got {x.shape}")
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise UserError(f"{bad.sum()} of {len(x)} rows of {name} features are not finite (first: row {bad.argmax()})")
    return x


def check_windows(windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The windows as float32; UserError unless finite, of shape (n, C, T) and with channels and samples."""
    x = np.asarray(windows, dtype=np.float32)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise UserError(f"expected windows of shape (n, C, T), got {x.shape}")
    if bad := int((~np.isfinite(x).all(axis=(1, 2))).sum()):
        raise UserError(f"{bad} of {len(x)} windows hold values that are not finite")
    return x

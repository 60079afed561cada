"""Splits by patient: no patient is on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.source import Split
from ssl_ecg.errors import DataError

_DRAWS = 500


def hold_out_patients(
    patients: Sequence[str] | NDArray[np.str_], labels: NDArray[np.int64], fraction: float, seed: int = 0
) -> set[str]:
    """Choose a fraction of the patients to hold out, with a share of every class that comes near that fraction.

    Of 500 seeded draws the one with the most even shares is taken: with few patients, a plain draw often leaves a rare
    class (PVCs, say) wholly on one side. `patients` and `labels` are of each window, shape (n,), label -1 for none; at
    least one patient is held out, one kept. DataError for fewer than two patients.
    """
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{len(names)} patient(s) cannot be split into two sets without one on both sides")
    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    classes = np.unique(labels[labels >= 0])
    counts: list[NDArray[np.int64]] = [np.bincount(patient[labels == c], minlength=len(names)) for c in classes]
    table = np.array(counts if len(counts) else [np.ones(len(names))], dtype=np.float64)
    table = table / table.sum(1, keepdims=True)  # share of each class that each patient holds: (classes, patients)
    rng = np.random.default_rng(seed)
    draws = [rng.permutation(len(names))[:count].astype(np.int32) for _ in range(_DRAWS)]
    # log-odds: a class wholly on one side is the worst that can happen
    share = np.clip(np.stack([table[:, drawn].sum(-1) for drawn in draws], axis=1), 1e-3, 1 - 1e-3)
    target = count / len(names)
    cost = np.abs(np.log(share / (1 - share)) - np.log(target / (1 - target))).sum(0)
    return set(names[draws[int(cost.argmin())]].tolist())


def check_disjoint(left: Sequence[str], right: Sequence[str], what: str, allowed: frozenset[str] = frozenset()) -> None:
    """Refuse two sides of a split, called `what` in the message, that share a patient: a DataError naming the patients.

    `allowed` are patients whom a published protocol itself has on both sides.
    """
    both = sorted((set(left) & set(right)) - allowed)
    if both:
        raise DataError(
            f"{len(both)} patient(s) are in both {what}, which would leak: {', '.join(both[:5])}"
            + (" ..." if len(both) > 5 else "")
        )


def hashed_split(patient: str) -> Split:
    """Choose the split of a patient where the data set has none: 70 % train, 10 % val, 20 % test.

    It follows from the patient's name within its data set alone, so it stays the same whatever else is read or added.
    """
    draw = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:4]) % 10
    return "train" if draw < 7 else "val" if draw < 8 else "test"


def ranked_splits(patients: Iterable[str]) -> dict[str, Split]:
    """Choose the split of each of few patients: 70 % train, 10 % val, 20 % test in the order of a hash of their names.

    By rank and not by draw: of few patients, a draw may leave none on a side.
    """
    names = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode()).digest())
    train, val = round(0.7 * len(names)), round(0.8 * len(names))
    return {name: "train" if i < train else "val" if i < val else "test" for i, name in enumerate(names)}

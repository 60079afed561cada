"""Twelve-lead WFDB records for imitations of data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb

from ssl_ecg.leads import STANDARD_12


def counts(seed: int, length: int) -> np.ndarray:
    """Samples of a record, shape (length, 12), of which 1000 are one unit."""
    return np.random.default_rng(seed).integers(-900, 900, (length, 12))


def write_record(
    path: Path,
    digital: np.ndarray,
    fs: float,
    *,
    unit: str = "mV",
    leads: Sequence[str] = STANDARD_12,
    comments: Sequence[str] = (),
) -> None:
    """Write `path.hea` and `path.dat`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        path.name, fs=fs, units=[unit] * 12, sig_name=list(leads), d_signal=digital, fmt=["16"] * 12,
        adc_gain=[1000.0] * 12, baseline=[0] * 12, comments=list(comments), write_dir=str(path.parent),
    )  # fmt: skip

"""Recorded noise on recordings, at a signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.waves.features import condition

KINDS = {"bw": "baseline wander", "ma": "muscle"}
DECIBELS = (24, 12, 6, 0)


def read_noise(root: Path, kind: str, fs: float) -> NDArray[np.float64]:
    """Read the second half of a noise record of the MIT-BIH Noise Stress Test Database, resampled to `fs` Hz: (T,).

    Its first half is for training. DataError if it is missing or damaged.
    """
    import scipy.signal

    header = read_header(root / f"{kind}.hea")
    signal, _ = read_signal(header)
    half = signal[0, signal.shape[1] // 2 :].astype(np.float64)
    up, down = int(fs), int(header.fs)
    common = int(np.gcd(up, down))
    resampled: NDArray[np.float64] = scipy.signal.resample_poly(half - half.mean(), up // common, down // common)
    return resampled


def with_noise(
    leads: Sequence[Lead],
    noise: NDArray[np.float64],
    decibels: float,
    preprocessing: Preprocessing,
    seed: int,
    causal: bool = False,
) -> list[Lead]:
    """Add a stretch of noise (T,), at the rate of the leads, to each of them.

    The ratio is that of the program `nst` (Moody et al., Computers in Cardiology 11, 1984): the signal's power is an
    eighth of the square of the QRS complexes' mean height, the noise's its variance. DataError for noise that is
    shorter than a lead.
    """
    rng, found = np.random.default_rng(seed), []
    for lead in leads:
        n, marked = len(lead.signal), lead.marked
        if n > len(noise):
            raise DataError(f"the noise lasts {len(noise) / lead.fs:.0f} s, record {lead.record} {n / lead.fs:.0f} s")
        start = int(rng.integers(len(noise) - n + 1))
        stretch = noise[start : start + n] - noise[start : start + n].mean()
        whole = (marked.labels == "QRS") & (marked.onset >= 0) & (marked.offset >= 0)
        spans = zip(marked.onset[whole], marked.offset[whole], strict=True)
        height = float(np.mean([np.ptp(lead.signal[on : off + 1]) for on, off in spans])) if whole.any() else 1.0
        power = height**2 / 8 / 10 ** (decibels / 10)
        signal = (lead.signal + stretch * np.sqrt(power / max(float(stretch.var()), 1e-12))).astype(np.float32)
        x = condition(preprocessing, torch.from_numpy(signal)[None], lead.fs, causal)[0]
        found.append(replace(lead, signal=signal, x=x))
    return found

"""Tapes drawn from the times of their beats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

FS = 250.0
_WAVES = {False: ((-0.16, 0.025, 0.12), (0.0, 0.012, 1.1), (0.03, 0.012, -0.25), (0.28, 0.05, 0.25))}
_WAVES[True] = ((0.0, 0.035, -1.4), (0.08, 0.04, 0.5), (0.32, 0.06, 0.5))
"""Place in s, width in s and height in mV of the waves of a narrow and of a wide beat."""


def drawn(
    times: NDArray[np.floating], wide: NDArray[np.bool_], seconds: float, seed: int = 0, fs: float = FS
) -> NDArray[np.float32]:
    """Two leads in mV, shape (2, T), of beats at times in s, some of them wide."""
    t = np.arange(round(seconds * fs)) / fs
    x = np.random.default_rng(seed).normal(scale=0.01, size=(2, len(t)))
    x += 0.05 * np.sin(2 * np.pi * 0.25 * t)
    for at, is_wide in zip(times, wide, strict=True):
        near = slice(max(0, int((at - 0.6) * fs)), int((at + 0.9) * fs))
        for place, width, height in _WAVES[bool(is_wide)]:
            wave = height * np.exp(-0.5 * ((t[near] - at - place) / width) ** 2)
            x[0, near] += wave
            x[1, near] += 0.6 * wave
    return x.astype(np.float32)


def regular(seconds: float, rr: float = 0.8, seed: int = 0) -> NDArray[np.float64]:
    """Times of beats, s."""
    steps = np.random.default_rng(seed).normal(rr, 0.02, size=int(seconds / rr) + 2)
    times = 0.4 + np.cumsum(steps)
    return times[times < seconds - 0.5]


def write(
    folder: Path, name: str, x: NDArray[np.floating], leads: tuple[str, ...] = ("MLII", "V1"), **how: Any
) -> Path:
    """Write a WFDB record; NaN are samples that are missing."""
    n = len(x)
    settings: dict[str, Any] = {"fs": FS, "fmt": ["16"] * n, "adc_gain": [1000.0] * n, "baseline": [0] * n, **how}
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name, units=["mV"] * n, sig_name=list(leads[:n]), p_signal=x.T.astype(float), write_dir=str(folder), **settings
    )
    return folder / f"{name}.hea"

"""NeuroKit2's delineation, which most people use, where it is installed."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.waves.matching import Found

Method = Literal["dwt", "prominence"]
METHODS: dict[str, Method] = {"NeuroKit2 dwt": "dwt", "NeuroKit2 prominence": "prominence"}
_PREFIX = {"P": "ECG_P", "QRS": "ECG_R", "T": "ECG_T"}


def installed() -> bool:
    """Whether there is a NeuroKit2 to compare with."""
    return find_spec("neurokit2") is not None


def require() -> None:
    """Refuse to go on without NeuroKit2, by a UserError."""
    if not installed():
        raise UserError("NeuroKit2 is not installed: pip install 'ssl-ecg[waves]', or leave it out of --beside")


def find(signal: NDArray[np.float32], fs: float, method: Method) -> Found:
    """Find the waves of a lead (T,) in mV by `neurokit2.ecg_delineate`; boundaries that it leaves open are NaN.

    Nothing is found where it fails, as it does without beats.
    """
    import neurokit2 as nk

    rate = round(fs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clean = nk.ecg_clean(signal.astype(np.float64), sampling_rate=rate)
            _, peaks = nk.ecg_peaks(clean, sampling_rate=rate)
            _, waves = nk.ecg_delineate(clean, peaks["ECG_R_Peaks"], sampling_rate=rate, method=method)
    except Exception:  # noqa: BLE001  (a third party's code on signals without beats: anything can come out of it)
        waves, peaks = {}, {"ECG_R_Peaks": []}
    columns: list[tuple[str, float, float, float]] = []
    for label, prefix in _PREFIX.items():
        onset, offset = waves.get(f"{prefix}_Onsets", []), waves.get(f"{prefix}_Offsets", [])
        top = peaks["ECG_R_Peaks"] if label == "QRS" else waves.get(f"{prefix}_Peaks", [])
        columns += [
            (label, a / fs, b / fs, c / fs)
            for a, b, c in zip(onset, top, offset, strict=False)
            if not np.isnan([a, b, c]).all()
        ]
    columns.sort(key=lambda wave: float(np.nanmean(wave[1:])))
    times = np.array([wave[1:] for wave in columns], dtype=np.float64).reshape(-1, 3)
    labels = np.array([wave[0] for wave in columns], dtype=np.str_)
    return Found(labels, times[:, 0], times[:, 1], times[:, 2], np.full(len(columns), np.nan))

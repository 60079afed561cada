"""openecg's delineation, where it is installed: supervised, on LUDB, QTDB and ISP themselves."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.waves.matching import Found

NAME = "openecg"
SAW = "openecg was trained, supervised, on most people of LUDB and on QTDB and ISP: it is scored on people it has seen"
_FS, _WINDOW = 500, 5000  # Hz; samples
_WAVES = {"P": (1,), "QRS": (2, 4), "T": (3,)}


def installed() -> bool:
    """Whether there is an openecg to compare with."""
    return find_spec("openecg") is not None and find_spec("onnxruntime") is not None


def require() -> None:
    """Refuse to go on without openecg, by a UserError."""
    if not installed():
        raise UserError("openecg is not installed: pip install openecg onnxruntime, or leave it out of --beside")


def find(signal: NDArray[np.float32], fs: float) -> Found:
    """Find the waves of a lead (T,) in mV by its codec in ONNX, ten seconds at a time; waves at their ends are cut."""
    import scipy.signal

    ratio = np.gcd(_FS, round(fs))
    x = signal if fs == _FS else scipy.signal.resample_poly(signal, _FS // ratio, round(fs) // ratio)
    classes = np.concatenate(
        [_codec().encode(x[i : i + _WINDOW].astype(np.float32), _FS).channels[0] for i in range(0, len(x), _WINDOW)]
    )
    waves: list[tuple[str, float, float]] = []
    for label, mine in _WAVES.items():
        inside = np.isin(classes, mine).astype(np.int8)
        on = np.flatnonzero(np.diff(inside, prepend=0) == 1)
        off = np.flatnonzero(np.diff(inside, append=0) == -1)
        waves += [(label, a / _FS, b / _FS) for a, b in zip(on, off, strict=True)]
    waves.sort(key=lambda wave: wave[1])
    labels = np.array([wave[0] for wave in waves], dtype=np.str_)
    onset, offset = (np.array([wave[end] for wave in waves], dtype=np.float64) for end in (1, 2))
    return Found(labels, onset, (onset + offset) / 2, offset, np.full(len(waves), np.nan))


@functools.cache
def _codec() -> Any:  # noqa: ANN401  (openecg has no types)
    from openecg.deploy import OnnxCodec

    return OnnxCodec()

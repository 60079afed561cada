"""Hand-made features: widths, amplitudes, levels and wavelets, as beats were classified before networks.

After de Chazal, O'Dwyer & Reilly, "Automatic classification of heartbeats using ECG morphology and heartbeat interval
features", IEEE Trans. Biomed. Eng. 2004, with the wavelets of Ye, Kumar & Coimbra, "Heartbeat classification using
morphological and dynamic features of ECG signals", IEEE Trans. Biomed. Eng. 2012. Fixed zones around the R peak stand
in for a delineation, which fails on noise. Amplitudes are in the signal's unit: give windows in mV, not normalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.r_peaks import detect_r_peaks
from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import Array, check_windows
from ssl_ecg.study.rhythm import TYPICAL_RR_S

SHAPE_FEATURES = (
    *("qrs_width", "r_width", "r_amplitude", "q_amplitude", "s_amplitude", "r_time", "s_time", "upslope", "downslope"),
    *("qrs_area", "qrs_size", "pr_level", "st_level", "p_max", "p_min", "t_max", "t_min", "t_time", "t_area"),
)
"""Of each beat and lead; `shape_features` says what they are."""

SIMILARITY_FEATURES = ("similar_before", "similar_after")
"""How much the QRS looks like the most similar stretch before it in its window, and after it."""

RECORD_RR_FEATURES = ("beats", "rr_mean", "rr_sd", "rr_min", "rr_max", "rmssd", "pnn50", "typical_mean", "typical_min")
"""Of each recording; `record_features` says what they are."""

_WAVELET = "db4"
_POINTS, _RATE, _BEFORE = 64, 100.0, 24  # a beat's wavelets see 0.24 s before its R peak to 0.39 s after it
_DETAILS = (3, 2)  # which levels' details are kept beside the approximation: 6 to 25 Hz
_LEVELS = 3
_BANDS = 6  # of a recording's wavelets: 25-50 Hz, 12-25 Hz, ... at 100 Hz, and what is below them
_AT_ONCE = 250_000  # values at a time, so that they stay in the cache
_BEAT = (-0.35, 0.55)  # what the median beat spans, s from the R peak


def beat_features(windows: NDArray[np.floating[Any]], fs: float) -> NDArray[np.float32]:
    """Measure shape, wavelets and similarity of the beat in the centre of each window (n, C, T).

    The R peak is at sample T // 2; windows are in mV, or what the amplitudes shall be in. Where one is too short for a
    zone, the samples nearest to it stand in. Gives (n, D): for each lead the `SHAPE_FEATURES`, 32 wavelet coefficients
    (db4) of the 0.64 s around the R peak, in the signal's unit, and the `SIMILARITY_FEATURES`: correlation -1 to 1 with
    the most similar stretch at least 0.25 s before or after, and 0 where there is no room for one. UserError for
    another shape, values that are not finite, or a rate under 20 Hz.
    """
    x = _checked(windows, fs)
    n, c, t = x.shape
    width = c * (len(SHAPE_FEATURES) + _POINTS // 2 + len(SIMILARITY_FEATURES))
    rows = x.reshape(n * c, t)
    parts = [
        np.concatenate([shape_features(some, fs), _wavelets(some, fs), _similarities(some, fs)], axis=1)
        for some in np.array_split(rows, max(1, rows.size // _AT_ONCE))
    ]
    return np.concatenate(parts).reshape(n, width).astype(np.float32)


def record_features(windows: NDArray[np.floating[Any]], fs: float) -> NDArray[np.float32]:
    """Measure rhythm, median beat and spectrum of whole recordings (n, C, T), of some seconds each, as `beat_features`.

    Gives (n, D): the `RECORD_RR_FEATURES`, which are beats per second, mean, SD, shortest and longest RR interval and
    RMSSD in s, the share of successive RR that differ by over 50 ms, and the mean and smallest correlation of a beat
    with the median beat; then of each lead the `SHAPE_FEATURES` of the median beat, and the share of the variance in
    each of seven wavelet bands (db4), the fastest first. Where fewer than two beats are found, RR is `TYPICAL_RR_S`
    without spread; where none is, the median beat is flat, and all its features are 0.
    """
    x = _checked(windows, fs)
    x = x - x.mean(axis=-1, keepdims=True)  # or the filters' rounding makes beats of a flat line
    n, c, _ = x.shape
    span = [round(edge * fs) for edge in _BEAT]
    rhythm = np.zeros((n, len(RECORD_RR_FEATURES)))
    median = np.zeros((n, c, span[1] - span[0]))
    for i in range(n):
        peaks = detect_r_peaks(x[i], fs)
        rhythm[i, :7] = _rr_statistics(peaks, fs, x.shape[-1] / fs)
        if len(peaks):
            median[i], rhythm[i, 7:] = _typical(x[i], peaks, span)
    # The R peak of a median beat is where `shape_features` expects it: in the centre.
    around = np.pad(median, ((0, 0), (0, 0), (span[1] + span[0], 0)), mode="edge")
    shape = shape_features(around.reshape(n * c, 2 * span[1]), fs).reshape(n, c, len(SHAPE_FEATURES))
    shape = np.where(median.any(axis=-1, keepdims=True), shape, 0.0)
    per_lead = np.concatenate([shape, _band_shares(x, fs)], axis=-1).reshape(n, c * (len(SHAPE_FEATURES) + _BANDS + 1))
    return np.concatenate([rhythm, per_lead], axis=1).astype(np.float32)


def shape_features(x: NDArray[np.floating[Any]], fs: float) -> Array:
    """Measure the shape of a beat in one lead (n, T), in any unit u, the R peak at about sample T // 2.

    Gives (n, 19), the `SHAPE_FEATURES`: width of the QRS complex, by where the slope is steep, and of its largest
    deflection at half height, s; amplitudes, from the median of the window, of R (the largest value) and of Q and S
    (the smallest before and after it), u; times of R and S from the centre, s; steepest rise and fall, u/s; area of the
    QRS complex with and without regard to its sign, u s; level before it (PR) and after it (ST, from the PR level), u;
    largest and smallest value where P waves lie (0.25 to 0.12 s before) and T waves (0.15 to 0.45 s after), u; the time
    of the T wave's largest deflection from the centre, s, and its area, u s.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    x = np.asarray(x, dtype=np.float64)
    x = x - np.median(x, axis=1, keepdims=True)
    every, length = np.arange(len(x)), x.shape[1]
    place = np.arange(length)

    near = _zone(length, fs, -0.08, 0.08)
    r_at = near.start + x[:, near].argmax(axis=1)
    largest_at = near.start + np.abs(x[:, near]).argmax(axis=1)
    qrs = _zone(length, fs, -0.12, 0.12)
    complex_, where = x[:, qrs], place[qrs]
    q = np.where(where <= r_at[:, None], complex_, np.inf).min(axis=1)
    after = np.where(where >= r_at[:, None], complex_, np.inf)
    s_at = qrs.start + after.argmin(axis=1)

    wide = _zone(length, fs, -0.2, 0.2)
    slope = np.gradient(x[:, wide], axis=1) * fs if length > 1 else np.zeros_like(x)
    speed = uniform_filter1d(np.abs(slope), max(1, round(0.02 * fs)), axis=1)
    steepest = speed.argmax(axis=1)
    reach = max(1, round(0.02 * fs))  # the slope is flat at each peak within the complex: bridge it
    steep = speed > 0.2 * speed[every, steepest][:, None]
    width = np.maximum(_run(maximum_filter1d(steep, 2 * reach + 1, axis=1), steepest) - 2 * reach, 0)
    half = np.abs(x) > 0.5 * np.abs(x[every, largest_at])[:, None]
    high = half & (np.sign(x) == np.sign(x[every, largest_at])[:, None])

    pr, st = (x[:, _zone(length, fs, *edges)].mean(axis=1) for edges in ((-0.12, -0.07), (0.09, 0.13)))
    p, t = (x[:, _zone(length, fs, *edges)] for edges in ((-0.25, -0.12), (0.15, 0.45)))
    t_from = _zone(length, fs, 0.15, 0.45).start - length // 2
    columns = [width / fs, _run(high, largest_at) / fs, x[every, r_at], q, x[every, s_at]]
    columns += [(r_at - length // 2) / fs, (s_at - length // 2) / fs, slope.max(axis=1), slope.min(axis=1)]
    columns += [complex_.sum(axis=1) / fs, np.abs(complex_).sum(axis=1) / fs, pr, st - pr]
    columns += [p.max(axis=1), p.min(axis=1), t.max(axis=1), t.min(axis=1)]
    columns += [(t_from + np.abs(t).argmax(axis=1)) / fs, t.sum(axis=1) / fs]
    return np.stack(columns, axis=1)


def _checked(windows: NDArray[np.floating[Any]], fs: float) -> NDArray[np.float32]:
    if not fs >= 20:
        raise UserError(f"expected a sampling rate of 20 Hz or more, got {fs}")
    return check_windows(windows)


def _zone(length: int, fs: float, start: float, end: float) -> slice:
    """Samples from `start` to `end` (s from the centre) of a window: those it has, and at least one."""
    first = min(max(length // 2 + round(start * fs), 0), length - 1)
    last = min(length // 2 + round(end * fs), length - 1)
    return slice(first, max(last, first) + 1)


def _run(mask: NDArray[np.bool_], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Length of the run of True around one sample of each row, shape (n,); 0 where it is False."""
    place = np.arange(mask.shape[1])
    right = np.where(~mask & (place >= at[:, None]), place, mask.shape[1]).min(axis=1)
    left = np.where(~mask & (place <= at[:, None]), place, -1).max(axis=1)
    return np.asarray(np.maximum(right - left - 1, 0))


def _wavelets(x: NDArray[np.floating[Any]], fs: float) -> Array:
    """Approximation and details of each beat, shape (n, 32); the first samples and the last are held at the ends."""
    import pywt
    from scipy.ndimage import uniform_filter1d

    smooth = uniform_filter1d(x - np.median(x, axis=1, keepdims=True), max(1, round(fs / _RATE)), axis=1)
    at = np.clip(x.shape[1] // 2 + (np.arange(_POINTS) - _BEFORE) * fs / _RATE, 0, x.shape[1] - 1)
    low, part = at.astype(np.int64), at % 1
    high = np.minimum(low + 1, x.shape[1] - 1)
    points = smooth[:, low] * (1 - part) + smooth[:, high] * part
    made = pywt.wavedec(points, _WAVELET, mode="periodization", level=_LEVELS, axis=1)
    return np.concatenate([made[0], *(made[_LEVELS + 1 - level] for level in _DETAILS)], axis=1)


def _similarities(x: NDArray[np.floating[Any]], fs: float) -> Array:
    """Largest correlation of the 0.2 s around the centre with other stretches of the window, shape (n, 2)."""
    from scipy.fft import irfft, next_fast_len, rfft

    n, length = x.shape
    half, gap, centre = round(0.1 * fs), round(0.25 * fs), length // 2
    size = 2 * half + 1
    found = np.zeros((n, 2))
    if centre - half < 0 or centre + half >= length or half < 1:
        return found
    pattern = x[:, centre - half : centre + half + 1].astype(np.float64)
    pattern -= pattern.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(pattern, axis=1, keepdims=True)
    fast = next_fast_len(length + size, real=True)
    # At sample i, the stretch that starts there; the pattern's mean is 0, so the stretch's does not matter.
    product = irfft(rfft(x, fast, axis=1) * rfft(pattern, fast, axis=1).conj(), fast, axis=1)[:, : length - size + 1]
    sums = [np.pad(np.cumsum(v, axis=1), ((0, 0), (1, 0))) for v in (x.astype(np.float64), np.square(x, dtype=float))]
    total, squares = (s[:, size:] - s[:, :-size] for s in sums)
    # A stretch that is nearly flat beside the beat resembles nothing.
    theirs = np.sqrt(np.maximum(squares - np.square(total) / size, np.square(0.1 * norm)))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(norm > 0, product / (theirs * norm), 0.0)
    middle = np.arange(length - size + 1) + half
    for column, there in enumerate((middle <= centre - gap, middle >= centre + gap)):
        if there.any():
            found[:, column] = correlation[:, there].max(axis=1)
    return np.clip(found, -1.0, 1.0)


def _rr_statistics(peaks: NDArray[np.int64], fs: float, seconds: float) -> Array:
    """The first seven of the `RECORD_RR_FEATURES`."""
    rr = np.diff(peaks) / fs if len(peaks) > 1 else np.array([TYPICAL_RR_S])
    steps = np.diff(rr) if len(rr) > 1 else np.zeros(1)
    rmssd, pnn50 = np.sqrt(np.square(steps).mean()), (np.abs(steps) > 0.05).mean()
    return np.array([len(peaks) / seconds, rr.mean(), rr.std(), rr.min(), rr.max(), rmssd, pnn50])


def _typical(x: NDArray[np.floating[Any]], peaks: NDArray[np.int64], span: Sequence[int]) -> tuple[Array, Array]:
    """The median beat (C, T), and the mean and smallest correlation of a beat with it, over all leads together."""
    inside = peaks[(peaks + span[0] >= 0) & (peaks + span[1] <= x.shape[1])]
    chosen = inside if len(inside) else peaks
    at = np.clip(chosen[:, None] + np.arange(*span), 0, x.shape[1] - 1)
    beats = x[:, at].swapaxes(0, 1)  # (beats, C, T)
    beats = beats - beats.mean(axis=-1, keepdims=True)
    median = np.median(beats, axis=0)
    norms = np.linalg.norm(beats, axis=(1, 2)) * np.linalg.norm(median)
    alike = (beats * median).sum(axis=(1, 2)) / np.where(norms > 0, norms, 1.0)
    return median, np.array([alike.mean(), alike.min()])


def _band_shares(x: NDArray[np.floating[Any]], fs: float) -> Array:
    """The share of each lead's variance in each wavelet band, the fastest first, shape (n, C, 7); 0 if it is flat."""
    import pywt

    together = min(max(1, round(fs / _RATE)), x.shape[-1])  # about 100 Hz, so that bands mean the same at every rate
    whole = x.shape[-1] // together
    slow = x[..., : whole * together].reshape(*x.shape[:-1], whole, together).mean(axis=-1)
    slow = slow - slow.mean(axis=-1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of coefficients that reach over the ends of under 5 s
        made = pywt.wavedec(slow, _WAVELET, mode="periodization", level=_BANDS, axis=-1)
    energy = np.stack([np.square(band, dtype=np.float64).sum(axis=-1) for band in made[::-1]], axis=-1)
    total = energy.sum(axis=-1, keepdims=True)
    return np.asarray(energy / np.where(total > 0, total, 1.0))

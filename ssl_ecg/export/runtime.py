"""Embed raw ECG recordings with an exported encoder: this file, its folder, NumPy and ONNX Runtime are all it takes.

Of a folder with an ExecuTorch program, `model.pte`, executorch takes the place of ONNX Runtime.

    python runtime.py                                       # checks the stored pair of signal and embedding
    python runtime.py ecg.npy --fs 500 --leads I,II         # (leads, time) in mV -> its embedding

    from runtime import ExportedEncoder

    encoder = ExportedEncoder()                             # the folder this file lies in
    z = encoder(signal, fs=500, leads=["I", "II"])          # (leads, time) or (batch, leads, time)

Picking of leads, filters and resampling are those the encoder was trained with (`ssl_ecg.preprocessing`), written
again in NumPy; normalisation by window and the network are in `model.onnx`. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Outputs = Callable[[list[str], NDArray[np.float32]], Sequence[NDArray[np.float32]]]

MODEL, PROGRAM, GOLDEN, ABOUT = "model.onnx", "model.pte", "golden.npz", "card.json"
PHASES = "phases"
MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
FLAT = 1e-4  # mV: what varies less is a disconnected electrode
BATCH = 64  # windows at a time

_TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_OTHERS = {"mli": "I", "mlii": "II", "mliii": "III", "mv1": "V1", "mv2": "V2", "mv5": "V5", "mcl1": "V1"}
_CANONICAL = {lead.lower(): lead for lead in _TWELVE} | _OTHERS | {"di": "I", "dii": "II", "diii": "III"}
# How many halves of I and of II add up to each limb lead.
_HALVES = {"I": (2, 0), "II": (0, 2), "III": (-2, 2), "aVR": (-1, -1), "aVL": (2, -1), "aVF": (-1, 2)}


class ExportedEncoder:
    """Maps raw recordings to embeddings, and to logits of classes where the model has a head.

    Args:
        folder: holds `model.onnx` or `model.pte`; by default the one of this file.
        threads: of ONNX Runtime.

    Attributes:
        about: all that was exported with it: preprocessing, classes, hashes, precision.
        classes: whose logits the head gives; none without a head.
    """

    def __init__(self, folder: str | Path | None = None, threads: int = 1) -> None:
        self.folder = Path(__file__).parent if folder is None else Path(folder)
        self.about: dict[str, Any]
        if (self.folder / PROGRAM).exists():
            self._outputs, self.about = _program(self.folder)
        else:
            self._outputs, self.about = _onnx(self.folder, threads)
        self.classes: tuple[str, ...] = tuple(self.about["classes"])
        self.preprocessing: dict[str, Any] = self.about["preprocessing"]

    def __call__(self, signal: NDArray[Any], fs: float, leads: Sequence[str], unit: str = "mV") -> NDArray[np.float32]:
        """Embed a recording (C, T) or a batch (B, C, T), at least a window long: shape (D,) or (B, D).

        A longer one is cut into windows that overlap by half, whose embeddings are averaged. ValueError for leads,
        a rate, a length or samples that cannot be used.
        """
        return self._run(signal, fs, leads, unit)["embedding"]

    def logits(self, signal: NDArray[Any], fs: float, leads: Sequence[str], unit: str = "mV") -> NDArray[np.float32]:
        """Give the logit of each of `classes`, shape (K,) or (B, K); ValueError as calling it, or without a head."""
        if not self.classes:
            raise ValueError("this encoder was exported without a head")
        return self._run(signal, fs, leads, unit)["logits"]

    def phases(self, signal: NDArray[Any], fs: float, leads: Sequence[str], unit: str = "mV") -> NDArray[np.float32]:
        """Give the log-probability of each phase of a heartbeat at each sample of a recording (C, T): (C, n, 6).

        The phases are `about["phases"]`, n samples are at the encoder's rate; the likeliest path through them are the
        waves. ValueError as calling it, or without a head that finds waves.
        """
        if not self.about.get("phases"):
            raise ValueError("this encoder was exported without a head that finds waves")
        if unit not in MILLIVOLTS or np.ndim(signal) != 2:
            raise ValueError(f"a recording has shape (leads, time) in {', '.join(MILLIVOLTS)}")
        x = condition(np.asarray(signal, dtype=np.float64) * MILLIVOLTS[unit], fs, leads, self.preprocessing)
        found = self._outputs([PHASES], x[:, None])[0]
        return np.asarray(found, dtype=np.float32)

    def _run(self, signal: NDArray[Any], fs: float, leads: Sequence[str], unit: str) -> dict[str, NDArray[np.float32]]:
        if unit not in MILLIVOLTS:
            raise ValueError(f"the unit of a signal is one of {', '.join(MILLIVOLTS)}, not {unit!r}")
        single = np.ndim(signal) == 2
        x = condition(np.asarray(signal, dtype=np.float64) * MILLIVOLTS[unit], fs, leads, self.preprocessing)
        x = x[None] if single else x
        samples = round(self.preprocessing["window"] * self.preprocessing["fs"])
        if x.shape[-1] < samples - 1:
            raise ValueError(
                f"the signal lasts {np.shape(signal)[-1] / fs:g} s, the encoder takes {samples} samples or more"
            )
        starts = window_starts(x.shape[-1], min(samples, x.shape[-1]))
        windows = np.stack([x[..., start : start + samples] for start in starts], axis=1)  # (B, n, C, T)
        shape = windows.shape[:2]
        if self.about["each_lead"]:  # one network for every lead, and their mean
            shape = windows.shape[:3]
        windows = windows.reshape(-1, *(windows.shape[-2:] if len(shape) == 2 else (1, windows.shape[-1])))
        wanted = ["embedding", *(["logits"] if self.classes else [])]
        parts = [self._outputs(wanted, windows[i : i + BATCH]) for i in range(0, len(windows), BATCH)]
        found = {}
        for name, pieces in zip(wanted, zip(*parts, strict=True), strict=True):
            z = np.concatenate(pieces).reshape(*shape, -1).mean(axis=tuple(range(1, len(shape))))
            found[name] = z[0] if single else z
        return found

    def golden_error(self) -> float:
        """How far the embedding of the stored signal is from the stored one, of its largest value."""
        with np.load(self.folder / GOLDEN) as golden:
            z = self(golden["signal"], float(golden["fs"]), [str(lead) for lead in golden["leads"]])
            return float(np.abs(z - golden["embedding"]).max() / np.abs(golden["embedding"]).max())


def _onnx(folder: Path, threads: int) -> tuple[Outputs, dict[str, Any]]:
    """Load an ONNX file: what gives its outputs of windows, and what is known of it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / MODEL, options, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["ssl_ecg"])
    return lambda names, windows: session.run(names, {"signal": windows}), about


def _program(folder: Path) -> tuple[Outputs, dict[str, Any]]:
    """Load an ExecuTorch program, which takes a window at a time; the same."""
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(folder / PROGRAM).load_method("forward")

    def outputs(names: list[str], windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        each = [method.execute([torch.from_numpy(window[None].copy())]) for window in windows]
        return [np.concatenate([np.array(given) for given in of]) for of in zip(*each, strict=True)][: len(names)]

    return outputs, json.loads((folder / ABOUT).read_text())


def condition(signal: Array, fs: float, leads: Sequence[str], settings: dict[str, Any]) -> NDArray[np.float32]:
    """Pick the leads, filter and resample (..., C, T) in mV: (..., C', T') at the encoder's rate."""
    if signal.ndim not in (2, 3) or signal.shape[-2] != len(leads) or signal.shape[-1] < 2:
        raise ValueError(f"expected (leads, time) or (batch, leads, time) of {len(leads)} leads, not {signal.shape}")
    if not np.isfinite(signal).all():
        raise ValueError("the signal has samples that are NaN or infinite")
    own, low = settings["fs"], settings["lowpass"]
    if fs < 0.999 * (2 * low or own):
        raise ValueError(f"a signal at {fs:g} Hz cannot carry what the encoder sees: {2 * low or own:g} Hz or more")
    x = signal if settings["leads"] == ["any"] else pick(signal, leads, settings["leads"])
    if settings["highpass"]:
        x = zero_phase(x, sections("highpass", 2, settings["highpass"], fs), settings["highpass"], fs)
    if low and low < fs / 2:
        x = zero_phase(x, sections("lowpass", 4, low, fs), low, fs)
    if fs != own:
        ratio = Fraction(own / fs).limit_denominator(1000)
        if ratio == 0 or abs(float(ratio) * fs / own - 1) > 1e-3:
            raise ValueError(f"cannot resample {fs:g} Hz to {own:g} Hz: not near a ratio of integers < 1000")
        x = resample(x, ratio.numerator, ratio.denominator)
    if settings["normalise"] == "record":
        x = x / typical_sd(x, round(2 * own))
    return np.ascontiguousarray(x, dtype=np.float32)


def pick(signal: Array, have: Sequence[str], want: Sequence[str]) -> Array:
    """Pick leads by name, deriving limb leads from any two others: (..., C, T) -> (..., len(want), T)."""
    names = [canonical(lead) for lead in have]
    if len(set(names)) != len(names):
        raise ValueError(f"a lead is named twice in {', '.join(have)}")
    row = {name: signal[..., i, :] for i, name in enumerate(names)}
    limb = [name for name in _HALVES if name in row][:2]
    found = []
    for lead in map(canonical, want):
        if lead in row:
            found.append(row[lead])
        elif lead in _HALVES and len(limb) == 2:
            (a, b), (c, d), (x, y) = (_HALVES[name] for name in (*limb, lead))
            area = a * d - b * c
            found.append((x * d - y * c) / area * row[limb[0]] + (a * y - b * x) / area * row[limb[1]])
        else:
            raise ValueError(f"lead {lead} is wanted, but the signal has {', '.join(have)}")
    return np.stack(found, axis=-2)


def canonical(lead: str) -> str:
    """Give a lead's name its one spelling: `AVR` -> `aVR`, `MLII` -> `II`; keep any other."""
    key = lead.strip().lower().removeprefix("lead").strip(" _-")
    return _CANONICAL.get(key, lead.strip())


def sections(kind: str, order: int, cutoff: float, fs: float) -> list[tuple[float, float, float, float, float]]:
    """Design a Butterworth filter as second-order sections (b0, b1, b2, a1, a2), by the bilinear transform."""
    k = math.tan(math.pi * cutoff / fs)
    found = []
    for i in range(order // 2):
        damping = 2 * math.cos(math.pi * (order - 1 - 2 * i) / (2 * order))
        norm = 1 / (1 + damping * k + k * k)
        b = (norm, -2 * norm, norm) if kind == "highpass" else (k * k * norm, 2 * k * k * norm, k * k * norm)
        found.append((*b, 2 * (k * k - 1) * norm, (1 - damping * k + k * k) * norm))
    return found


def zero_phase(x: Array, filters: list[tuple[float, float, float, float, float]], cutoff: float, fs: float) -> Array:
    """Filter (..., T) forwards and backwards, its ends extended point-symmetrically over a second or more."""
    pad = min(x.shape[-1] - 1, round(fs * max(1.0, 1.0 / cutoff)))
    before = 2 * x[..., :1] - x[..., pad:0:-1]
    after = 2 * x[..., -1:] - x[..., -2 : -pad - 2 : -1]
    y = np.concatenate([before, x, after], axis=-1)
    for _ in range(2):
        for section in filters:
            y = _filtered(y, *section)
        y = y[..., ::-1]
    return y[..., pad : y.shape[-1] - pad]


def _filtered(x: Array, b0: float, b1: float, b2: float, a1: float, a2: float, block: int = 64) -> Array:
    """Run a second-order section along (..., T) that has always been at its first value.

    Block by block: what a block's own samples give is a matrix product for all blocks at once, and only the two
    numbers of state go from one to the next.
    """
    step, into = np.array([[-a1, 1.0], [-a2, 0.0]]), np.array([b1 - a1 * b0, b2 - a2 * b0])
    powers = [np.eye(2)]
    for _ in range(block):
        powers.append(step @ powers[-1])
    response = np.array([b0, *(powers[i][0] @ into for i in range(block - 1))])
    lag = np.subtract.outer(np.arange(block), np.arange(block))
    within = np.where(lag >= 0, response[lag], 0.0)  # output i by input j
    to_state = np.stack([powers[block - 1 - j] @ into for j in range(block)])
    of_state = np.stack([power[0] for power in powers[:block]])

    length = x.shape[-1]
    rows = np.pad(x.reshape(-1, length), ((0, 0), (0, -length % block))).reshape(-1, -(-length // block), block)
    gain = (b0 + b1 + b2) / (1 + a1 + a2)
    first = rows[:, 0, :1]
    state = np.concatenate([(gain - b0) * first, (b2 - a2 * gain) * first], axis=1)
    states, given = np.empty((*rows.shape[:2], 2)), rows @ to_state
    for i in range(rows.shape[1]):
        states[:, i] = state
        state = state @ powers[block].T + given[:, i]
    y = rows @ within.T + states @ of_state.T
    return np.asarray(y.reshape(len(rows), -1)[:, :length].reshape(x.shape))


def resample(x: Array, up: int, down: int) -> Array:
    """Resample (..., T) by up/down through a windowed-sinc low-pass, the ends extended along a line."""
    half = 10 * max(up, down)
    n = np.arange(-half, half + 1) / max(up, down)
    h = np.sinc(n) * np.kaiser(len(n), 5.0)
    h *= up / h.sum()
    length, pad = x.shape[-1], half // up + 1
    slope = (x[..., -1:] - x[..., :1]) / (length - 1)
    before, after = x[..., :1] + slope * np.arange(-pad, 0), x[..., -1:] + slope * np.arange(1, pad + 1)
    x = np.concatenate([before, x, after], axis=-1)
    out = np.empty((*x.shape[:-1], -(-length * up // down)))
    for m in range(min(up, out.shape[-1])):  # outputs m, m + up, ... see the input through the same taps
        last = (half + m * down) // up  # the newest sample with a tap; taps go back in time from it
        taps = h[half + m * down - last * up :: up]
        windows = np.lib.stride_tricks.sliding_window_view(x, len(taps), axis=-1)
        first = pad + last - len(taps) + 1
        count = len(range(m, out.shape[-1], up))
        out[..., m::up] = windows[..., first : first + (count - 1) * down + 1 : down, :] @ taps[::-1]
    return out


def typical_sd(x: Array, stretch: int) -> Array:
    """Median standard deviation of the stretches of each lead: (..., T) -> (..., 1)."""
    whole = x.shape[-1] // stretch * stretch
    parts = x[..., :whole].reshape(*x.shape[:-1], -1, stretch) if whole else x[..., None, :]
    return np.asarray(np.maximum(np.median(parts.std(-1), axis=-1, keepdims=True), FLAT))


def window_starts(length: int, samples: int) -> list[int]:
    """First samples of windows that overlap by half or more and cover the whole, evenly spaced."""
    hops = max(1, -(-(length - samples) // max(1, samples // 2)) + 1)
    end, i = length - samples, np.arange(hops)
    step = float(np.float32(end) / np.float32(max(1, hops - 1)))  # in single precision, as torch.linspace
    where = np.where(i < hops // 2, step * i, end - step * (hops - 1 - i))
    return [int(start) for start in np.rint(where.astype(np.float32))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Embed an ECG recording with an exported encoder.")
    parser.add_argument("file", nargs="?", help=".npy of shape (leads, time); without one, check the golden pair")
    parser.add_argument("--fs", type=float, help="sampling rate, Hz")
    parser.add_argument("--leads", help="names of the leads, such as I,II")
    parser.add_argument("--unit", default="mV", choices=list(MILLIVOLTS))
    given = parser.parse_args()
    encoder = ExportedEncoder()
    if given.file is None:
        error, tolerance = encoder.golden_error(), encoder.about["tolerance"]
        print(f"golden embedding: off by {error:.1e}, at most {tolerance:g}")
        raise SystemExit(not error <= tolerance)
    if given.fs is None or given.leads is None:
        parser.error("a recording needs --fs and --leads")
    signal, leads = np.load(given.file), given.leads.split(",")
    found = {"embedding": encoder(signal, given.fs, leads, given.unit).tolist()}
    if encoder.classes:
        logits = encoder.logits(signal, given.fs, leads, given.unit)
        found["logits"] = dict(zip(encoder.classes, logits.tolist(), strict=True))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

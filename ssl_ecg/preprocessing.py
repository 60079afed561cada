"""Preprocessing: how a raw recording becomes what an encoder sees, in training and afterwards."""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import ANY, canonical, pick

if TYPE_CHECKING:
    from torch import Tensor

Normalise = Literal["window", "record", "none"]
_FLAT = 1e-4  # mV: a window that varies less is a disconnected electrode, and is not blown up to unit variance


@dataclass(frozen=True)
class Preprocessing:
    """Lead order, sampling rate, filter, window and normalisation.

    The same object prepares the training data and, stored in the checkpoint, every signal embedded later. It works in
    two stages: `condition` on a whole recording (leads, filter, rate), `normalise` on each window cut from it.

    Args:
        fs: sampling rate the encoder sees, Hz. Recordings are resampled with an anti-aliasing filter; one whose own
            rate cannot carry what the low-pass lets through (without one, whose rate is below this) is refused.
        leads: leads the encoder sees, in order. Spellings are mapped (MLII is II, AVR is aVR) and limb
            leads are derived from any two others. "any" makes every lead of a recording a sample of its own, whatever
            its name, for an encoder of one lead.
        highpass: cut-off of the high-pass that removes baseline wander, Hz; 0 for none. Butterworth,
            order 2, run forwards and backwards (zero phase).
        lowpass: cut-off of the low-pass that removes muscle and mains noise, Hz; 0 for none. Butterworth,
            order 4, zero phase.
        window: length of what the encoder is trained on, s.
        normalise: "window" gives each lead of each window zero mean and unit variance. "record" divides each lead by
            its typical standard deviation over the recording (the median over stretches of 2 s), so that a beat keeps
            its size beside its neighbours': give such an encoder ten seconds or more. "none" keeps mV.
    """

    fs: float = 100.0
    leads: tuple[str, ...] = ("II",)
    highpass: float = 0.5
    lowpass: float = 40.0
    window: float = 3.0
    normalise: Normalise = "window"

    def __post_init__(self) -> None:
        if not self.leads:
            raise UserError("preprocessing.leads is empty: name at least one lead, such as II")
        leads = ANY if str(self.leads) == "any" else self.leads
        object.__setattr__(self, "leads", tuple(canonical(lead) for lead in leads))
        if "any" in self.leads and not self.any_leads:
            raise UserError(f"preprocessing.leads is any, or names leads, not both: {', '.join(self.leads)}")
        if len(set(self.leads)) < len(self.leads):
            raise UserError(f"preprocessing.leads names a lead twice: {', '.join(self.leads)}")
        if not 0 < self.fs < math.inf:
            raise UserError(f"preprocessing.fs must be a positive number of Hz, not {self.fs}")
        if not math.isfinite(self.window * self.fs):
            raise UserError(f"preprocessing.window must be a number of seconds, not {self.window}")
        if self.samples < 8:
            raise UserError(f"preprocessing.window of {self.window} s at {self.fs:g} Hz is under 8 samples")
        for name, cutoff in (("highpass", self.highpass), ("lowpass", self.lowpass)):
            if not 0 <= cutoff < self.fs / 2:
                raise UserError(f"preprocessing.{name} of {cutoff:g} Hz is not between 0 and fs/2 = {self.fs / 2:g} Hz")
        if self.lowpass and self.highpass >= self.lowpass:
            raise UserError(f"preprocessing.highpass ({self.highpass:g} Hz) is not below lowpass ({self.lowpass:g} Hz)")
        if self.normalise not in get_args(Normalise):
            raise UserError(
                f"preprocessing.normalise must be one of {', '.join(get_args(Normalise))}, not {self.normalise!r}"
            )

    @property
    def any_leads(self) -> bool:
        """Whether every lead is a sample of its own."""
        return self.leads == ANY

    def on(self, leads: tuple[str, ...]) -> Preprocessing:
        """The same for recordings of these leads, where it takes any; itself where it names its own."""
        return replace(self, leads=leads) if self.any_leads and leads else self

    @property
    def samples(self) -> int:
        """Length of a window, in samples."""
        return round(self.window * self.fs)

    def condition(
        self, signal: NDArray[np.floating], fs: float, leads: tuple[str, ...] | list[str]
    ) -> NDArray[np.float32]:
        """Pick the leads, filter and resample a recording (C, T) or a batch (B, C, T), in mV at `fs` Hz.

        Gives float32 of shape (len(self.leads), T') or (B, len(self.leads), T'), at `self.fs`, in mV or, if normalised
        by record, in the recording's standard deviations; of all the leads there are, if it takes any. DataError for
        NaN, infinite or complex samples, wrong leads, a wrong shape, or a rate too low for what the encoder sees; it
        says what was given and what is needed.
        """
        import scipy.signal

        x = np.asarray(signal)
        if x.ndim not in (2, 3) or x.shape[-1] < 2:
            raise DataError(f"a signal must have shape (leads, time) or (batch, leads, time), not {x.shape}")
        if x.shape[-2] != len(leads):
            raise DataError(f"the signal has {x.shape[-2]} channels (shape {x.shape}) but {len(leads)} lead names")
        if np.iscomplexobj(x):
            raise DataError(f"a signal must be of real numbers, not {x.dtype}: give its real part or its magnitude")
        if not 0 < fs < math.inf:
            raise DataError(f"the sampling rate must be a positive number of Hz, not {fs}")
        self._check_band(fs)
        try:
            x, names = x.astype(np.float64), tuple(leads)
            if not self.any_leads:
                x, names = pick(x, names, self.leads), self.leads
        except ValueError as error:
            raise DataError(f"{error}; the encoder's leads are {', '.join(self.leads)}") from None
        if not np.isfinite(x).all():
            where = np.argwhere(~np.isfinite(x))[0]
            raise DataError(
                f"the signal is NaN or infinite in {(~np.isfinite(x)).sum()} of {x.size} samples, first in lead "
                f"{names[where[-2]]} at {where[-1] / fs:.3f} s: cut the stretch out or interpolate it"
            )
        # Filter at the higher of the two rates: what the low-pass removes cannot alias.
        low = self.lowpass if self.lowpass and self.lowpass < fs / 2 else 0
        steps: tuple[tuple[Literal["highpass", "lowpass"], int, float], ...]
        steps = (("highpass", 2, self.highpass), ("lowpass", 4, low))
        for kind, order, cutoff in steps:
            if cutoff:
                sos = _butterworth(order, cutoff, kind, fs)
                # Odd extension over a second and more keeps the slow high-pass from ringing at the ends.
                pad = min(x.shape[-1] - 1, round(fs * max(1.0, 1.0 / cutoff)))
                x = scipy.signal.sosfiltfilt(sos, x, axis=-1, padlen=pad)
        if fs != self.fs:
            ratio = Fraction(self.fs / fs).limit_denominator(1000)
            if ratio == 0 or abs(float(ratio) * fs / self.fs - 1) > 1e-3:
                raise DataError(f"cannot resample {fs:g} Hz to {self.fs:g} Hz: not near a ratio of integers < 1000")
            x = scipy.signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
        if self.normalise == "record":
            x = x / _typical_sd(x, round(2 * self.fs))
        return np.ascontiguousarray(x, dtype=np.float32)

    def _check_band(self, fs: float) -> None:
        """See that a rate can carry what the encoder sees, to within the tenth of a per cent that clocks are off."""
        needed = 2 * self.lowpass or self.fs
        if fs < 0.999 * needed:
            upto = self.lowpass or self.fs / 2
            raise DataError(
                f"a signal at {fs:g} Hz ends at {fs / 2:g} Hz, but the encoder sees up to {upto:g} Hz: give one at "
                f"{needed:g} Hz or more, or use an encoder whose preprocessing.lowpass is at most {fs / 2:g} Hz"
            )

    def conditioning(self) -> dict[str, object]:
        """What `condition` depends on: recordings conditioned alike can be cut and normalised in any way."""
        settings = self.to_dict()
        del settings["window"]
        settings["normalise"] = "record" if self.normalise == "record" else "later"
        return settings

    def normalise_windows(self, x: Tensor, inplace: bool = False) -> Tensor:
        """Normalise windows (B, C, T) of what `condition` gives: `x` itself if `normalise` is not "window".

        `inplace` overwrites `x`: several times as fast for a large batch, whose copy would be new memory.
        """
        if self.normalise != "window":
            return x
        mean = x.mean(-1, keepdim=True)
        x = x.sub_(mean) if inplace else x - mean
        sd = x.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return x.div_(sd.clamp_min(_FLAT))

    def normalise_record(self, x: Tensor) -> Tensor:
        """Normalise a whole recording (..., T) for tokens: as `normalise_windows`, but each sample by its own window.

        That is the one of the window's length around it, or near the ends the first or the last.
        """
        if self.normalise != "window" or x.shape[-1] <= self.samples:
            return self.normalise_windows(x)
        import torch

        first = (torch.arange(x.shape[-1]) - self.samples // 2).clamp(0, x.shape[-1] - self.samples)
        wide = x.double() - x.double().mean(-1, keepdim=True)
        total, squares = (torch.nn.functional.pad(each.cumsum(-1), (1, 0)) for each in (wide, wide.square()))
        mean, square = (
            (each[..., first + self.samples] - each[..., first]) / self.samples for each in (total, squares)
        )
        sd = (square - mean.square()).clamp_min(0).sqrt().clamp_min(_FLAT)
        return ((wide - mean) / sd).to(x.dtype)

    def to_dict(self) -> dict[str, object]:
        """Plain values, as stored in checkpoints and stores."""
        return {**asdict(self), "leads": list(self.leads)}


@functools.lru_cache(maxsize=32)  # designing a filter takes as long as filtering ten seconds
def _butterworth(order: int, cutoff: float, kind: Literal["highpass", "lowpass"], fs: float) -> NDArray[np.float64]:
    import scipy.signal

    return scipy.signal.butter(order, cutoff, kind, fs=fs, output="sos")


def _typical_sd(x: NDArray[np.floating], stretch: int) -> NDArray[np.floating]:
    """Median standard deviation of the stretches of each lead, (..., T) -> (..., 1): artefacts do not move it."""
    whole = x.shape[-1] // stretch * stretch
    parts = x[..., :whole].reshape(*x.shape[:-1], -1, stretch) if whole else x[..., None, :]
    typical: NDArray[np.floating] = np.maximum(np.median(parts.std(-1), axis=-1, keepdims=True), _FLAT)
    return typical

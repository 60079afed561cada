"""Preprocessing: how a raw recording becomes what an encoder sees, in training and afterwards."""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import ANY, canonical, pick

if TYPE_CHECKING:
    from torch import Tensor

Normalise = Literal["window", "record", "none"]
FLAT = 1e-4  # mV: a window that varies less is a disconnected electrode, and is not blown up to unit variance
_AT_ONCE = 2**19  # samples conditioned at a time: what it takes beside signal and result does not grow with them
_LONGEST = 2**20  # samples of a lead that are conditioned in one: half an hour at 500 Hz
_RINGING = 10  # periods of its cut-off after which nothing is left of what a filter did: exp(-44)


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
        by record, in the recording's standard deviations; of all the leads there are, if it takes any. Beside signal
        and result it takes some 50 MB, however long the recording; one of more than a million samples is conditioned in
        blocks, which moves the result by less than 1e-6. DataError for
        NaN, infinite or complex samples, wrong leads, a wrong shape, or a rate too low for what the encoder sees; it
        says what was given and what is needed.
        """
        x = np.asarray(signal)
        if x.ndim not in (2, 3) or x.shape[-1] < 2:
            raise DataError(f"a signal must have shape (leads, time) or (batch, leads, time), not {x.shape}")
        if x.shape[-2] != len(leads):
            raise DataError(f"the signal has {x.shape[-2]} channels (shape {x.shape}) but {len(leads)} lead names")
        if np.iscomplexobj(x):
            raise DataError(f"a signal must be of real numbers, not {x.dtype}: give its real part or its magnitude")
        if not 0 < fs < math.inf:
            raise DataError(f"the sampling rate must be a positive number of Hz, not {fs}")
        self.check_band(fs)
        ratio = self.ratio(fs)
        try:
            # What each wanted lead is made of: one row, or two limb leads.
            mixing = np.eye(len(leads)) if self.any_leads else pick(np.eye(len(leads)), tuple(leads), self.leads)
        except ValueError as error:
            raise DataError(f"{error}; the encoder's leads are {', '.join(self.leads)}") from None
        names = tuple(leads) if self.any_leads else self.leads
        batch, length = x if x.ndim == 3 else x[None], x.shape[-1]
        out = np.empty((len(batch), len(names), -(-length * ratio.numerator // ratio.denominator)), dtype=np.float32)
        try:
            if length > _LONGEST:
                for sample, lead in np.ndindex(out.shape[:2]):
                    self._condition_long(batch[sample], mixing[lead], fs, ratio, out[sample, lead])
            else:
                self._condition_short(batch, mixing, fs, ratio, out)
        except FloatingPointError:
            bad = np.stack([~np.isfinite(batch[:, used != 0]).all(axis=1) for used in mixing], axis=1)
            where = np.argwhere(bad)[0]
            raise DataError(
                f"the signal is NaN or infinite in {bad.sum()} of {bad.size} samples, first in lead "
                f"{names[where[-2]]} at {where[-1] / fs:.3f} s: cut the stretch out or interpolate it"
            ) from None
        return out if x.ndim == 3 else out[0]

    def _condition_short(
        self, x: NDArray[Any], mixing: NDArray[np.floating], fs: float, ratio: Fraction, out: NDArray[np.float32]
    ) -> None:
        """Condition recordings (B, C, T), as many of them or of their leads at a time as fit."""
        leads_at_once = max(1, min(len(mixing), _AT_ONCE // x.shape[-1]))
        samples_at_once = max(1, _AT_ONCE // (leads_at_once * x.shape[-1]))
        for sample, lead in np.ndindex(-(-len(x) // samples_at_once), -(-len(mixing) // leads_at_once)):
            samples = slice(sample * samples_at_once, (sample + 1) * samples_at_once)
            leads = slice(lead * leads_at_once, (lead + 1) * leads_at_once)
            part = self._resampled(self._filtered(_mixed(x[samples], mixing[leads]), fs), ratio)
            if self.normalise == "record":
                part = part / typical_sd(part, round(2 * self.fs))
            out[samples, leads] = part

    def _filtered(self, x: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
        """Filter (..., T) at its own rate, zero phase."""
        import scipy.signal

        # Filter at the higher of the two rates: what the low-pass removes cannot alias.
        low = self.lowpass if self.lowpass and self.lowpass < fs / 2 else 0
        steps: tuple[tuple[Literal["highpass", "lowpass"], int, float], ...]
        steps = (("highpass", 2, self.highpass), ("lowpass", 4, low))
        for kind, order, cutoff in steps:
            if cutoff:
                sos = butterworth(order, cutoff, kind, fs)
                # Odd extension over a second and more keeps the slow high-pass from ringing at the ends.
                pad = min(x.shape[-1] - 1, round(fs * max(1.0, 1.0 / cutoff)))
                x = scipy.signal.sosfiltfilt(sos, x, axis=-1, padlen=pad)
        return x

    @staticmethod
    def _resampled(x: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
        """Resample (..., T), anti-aliased."""
        import scipy.signal

        if ratio == 1:
            return x
        return np.asarray(scipy.signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=-1, padtype="line"))

    def _condition_long(
        self, x: NDArray[Any], mixing: NDArray[np.floating], fs: float, ratio: Fraction, out: NDArray[np.float32]
    ) -> None:
        """Condition one lead of a recording (C, T) block by block, each with as much around it as the filters ring."""
        up, down, length = ratio.numerator, ratio.denominator, x.shape[-1]
        guard = round(fs * sum(_RINGING / cutoff for cutoff in (self.highpass, self.lowpass) if cutoff))
        reach = 0 if ratio == 1 else (10 * max(up, down) // up + 1) // down * down + down  # of the resampler
        block = max(_AT_ONCE, 2 * guard) // down * down + down

        def filtered(first: int, end: int) -> NDArray[np.float64]:
            low, high = max(0, first - guard), min(length, end + guard)
            return self._filtered(_mixed(x[None, :, low:high], mixing[None])[0, 0], fs)[first - low : end - low]

        ends = filtered(0, 1)[0], filtered(length - 1, length)[0]
        slope = (ends[1] - ends[0]) / (length - 1)
        for first in range(0, length, block):
            low, high = first - reach, min(first + block, length) + reach
            before = ends[0] + slope * np.arange(min(low, 0), 0)  # beyond the ends, as `resample_poly` goes on
            after = ends[1] + slope * np.arange(1, max(0, high - length) + 1)
            around = np.concatenate([before, filtered(max(low, 0), min(high, length)), after])
            start, stop = first * up // down, min((first + block) * up // down, len(out))
            skip = reach * up // down
            out[start:stop] = self._resampled(around, ratio)[skip : skip + stop - start]
        if self.normalise == "record":
            out /= np.float32(typical_sd(out, round(2 * self.fs))[0])

    def ratio(self, fs: float) -> Fraction:
        """Of the encoder's rate to another, as that of small integers; DataError where there is none near."""
        ratio = Fraction(self.fs / fs).limit_denominator(1000)
        if ratio == 0 or abs(float(ratio) * fs / self.fs - 1) > 1e-3:
            raise DataError(f"cannot resample {fs:g} Hz to {self.fs:g} Hz: not near a ratio of integers < 1000")
        return ratio

    def check_band(self, fs: float) -> None:
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
        return x.div_(sd.clamp_min(FLAT))

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
        sd = (square - mean.square()).clamp_min(0).sqrt().clamp_min(FLAT)
        return ((wide - mean) / sd).to(x.dtype)

    def to_dict(self) -> dict[str, object]:
        """Plain values, as stored in checkpoints and stores."""
        return {**asdict(self), "leads": list(self.leads)}


@functools.lru_cache(maxsize=32)  # designing a filter takes as long as filtering ten seconds
def butterworth(order: int, cutoff: float, kind: Literal["highpass", "lowpass"], fs: float) -> NDArray[np.float64]:
    """Design a Butterworth filter as second-order sections."""
    import scipy.signal

    return scipy.signal.butter(order, cutoff, kind, fs=fs, output="sos")


def typical_sd(x: NDArray[np.floating], stretch: int) -> NDArray[np.float64]:
    """Median standard deviation of the stretches of each lead, (..., T) -> (..., 1): artefacts do not move it."""
    whole = x.shape[-1] // stretch * stretch
    parts = x[..., :whole].reshape(*x.shape[:-1], -1, stretch) if whole else x[..., None, :]
    some = max(1, _AT_ONCE // stretch)
    each = [parts[..., i : i + some, :].std(-1, dtype=np.float64) for i in range(0, parts.shape[-2], some)]
    return np.asarray(np.maximum(np.median(np.concatenate(each, -1), axis=-1, keepdims=True), FLAT))


def _mixed(x: NDArray[Any], mixing: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mix channels (B, C, T) to leads (B, K, T) by weights (K, C).

    FloatingPointError if a lead has samples that are not finite.
    """
    found = np.empty((len(x), len(mixing), x.shape[-1]))
    for k, weights in enumerate(mixing):
        used = np.flatnonzero(weights)
        found[:, k] = x[:, used[0]]
        if len(used) > 1 or weights[used[0]] != 1:
            found[:, k] *= weights[used[0]]
        for channel in used[1:]:
            found[:, k] += weights[channel] * x[:, channel].astype(np.float64)
    if not np.isfinite(found).all():
        raise FloatingPointError
    return found

"""Heart rate, changed as a heart changes it: the QRS complexes keep their width, what lies between them does not."""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.peaks import r_peaks
from augmentations.ranges import Range, check_range, draw
from augmentations.warping import interpolate

_LEAST = 0.05  # of its duration is left of the time between two QRS complexes, whatever the rate


def heart_rate_map(peaks: Tensor, factor: Tensor, place: Tensor, fs: float, length: int, qrs: float = 0.2) -> Tensor:
    """Maps of time that divide each RR interval by a factor and leave the time around each R peak as it is.

    The result is positions in samples at `fs` Hz, (B, T = `length`), for `interpolate`. `peaks`, (B, K), are those of
    `r_peaks`: in samples, ascending, negative where there is none; `factor`, (B, 1), is what multiplies the heart rate.
    The map is linear in pieces: of slope 1 within half of `qrs` (s) of each peak, and between two of them of the slope
    that the new RR interval needs; one that would become shorter than `qrs` and a twentieth of the rest comes out
    longer than asked for. Before the first and after the last peak the slope is that of all intervals together.

    Where the result is longer than the record, the map shows a part of it; where it is shorter, the record goes on with
    its own beats: after its end comes what followed its first beat at the same distance as the end follows its last.
    `place`, (B, 1), says where the one lies in the other: 0 is flush at the begin, 1 at the end. Where there is only
    one beat or none, the ends are held instead.
    """
    half, last = qrs * fs / 2, length - 1
    there = peaks >= 0
    peak = peaks.to(factor.dtype)
    # Knots: where the still time of each beat begins and ends; those of no beat fall onto the knot before.
    knots = torch.stack([peak - half, peak + half], dim=-1).clamp_(0, last)
    knots = torch.where(there[..., None], knots, 0).flatten(1).cummax(1).values
    ends = knots.new_zeros(len(knots), 1)
    old = torch.cat([ends, knots, ends + last], dim=1)

    until = torch.where(there, peak, -torch.inf).cummax(1).values
    interval = peak - torch.cat([ends - torch.inf, until[:, :-1]], dim=1)
    inner = there & interval.isfinite()
    gap = torch.where(inner, (interval - 2 * half).clamp_min(0), 0)
    wanted = torch.where(inner, torch.maximum(interval / factor - 2 * half, _LEAST * gap), 0)
    total = gap.sum(1, keepdim=True)
    overall = torch.where(total > 0, wanted.sum(1, keepdim=True) / total, 1 / factor).clamp_min(_LEAST)
    slope = torch.where(inner & (gap > 0), wanted / gap, overall)  # of the gap before each beat
    slope = torch.stack([slope, torch.ones_like(slope)], dim=-1).flatten(1)
    slope = torch.cat([slope, overall], dim=1)
    new = torch.cat([ends, (old.diff(dim=1) * slope).cumsum(1)], dim=1)

    # The beats as a loop: one turn is from the first peak to the last.
    first = torch.where(there, peak, torch.inf).amin(1, keepdim=True)
    latest = until[:, -1:]
    bounds = torch.cat([first, latest], dim=1).clamp(0, last)
    turn = _read(old, new, slope, bounds, back=True).diff(dim=1)
    time = torch.arange(length, device=peaks.device, dtype=factor.dtype)
    end = new[:, -1:]
    time = time + place * (end - last)
    over = torch.where(time > end, time - end, time.clamp_max(0))
    turns = torch.where(turn > 0.5, (over.abs() / turn).ceil() * over.sign(), 0)
    return _read(old, new, slope, time - turns * turn, back=False)


def _read(old: Tensor, new: Tensor, slope: Tensor, at: Tensor, back: bool) -> Tensor:
    """Reads the piecewise linear map from new to old time, or back."""
    source, target = (old, new) if back else (new, old)
    piece = torch.searchsorted(source[:, 1:-1].contiguous(), at, right=True)
    rate = slope.gather(1, piece)
    beyond = at - source.gather(1, piece)
    return target.gather(1, piece) + (beyond * rate if back else beyond / rate)


class HeartRateChange(Augmentation):
    """Changes the heart rate by resampling the RR intervals; the QRS complexes keep their width.

    What lies between the QRS complexes (P wave, ST segment, T wave, diastole) is stretched or compressed. The QT
    interval so changes less than the RR interval: at an RR of 1 s and a factor of 1.25 from 0.40 to about 0.34 s, where
    Bazett's formula says 0.36 s. The rhythm keeps its pattern: every RR interval is divided by the factor. A faster
    heart would need more beats than were recorded: the record's own are repeated (`heart_rate_map`), with an irregular
    seam only where the intervals were. A slower one shows a part of the record, at a random place.

    Between samples the record is read along straight lines: a narrow R wave loses up to a seventh of its height at
    100 Hz, 1 to 2 % at 250 Hz. The R peaks are found in the signal (`r_peaks`); for known ones call `heart_rate_map`
    and `interpolate`.

    Reference: resampling between R peaks as in Nemati, Comparative Analysis of Data Augmentation for Clinical
    ECG Classification with STAR, 2025, https://arxiv.org/abs/2510.24740, there within a fixed RR interval.

    Args:
        factor: Range of the factor by which the heart rate changes, 0.5 to 2.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, factor: Range = (0.8, 1.25), p: float = 0.5) -> None:
        super().__init__(p)
        self.factor = check_range("factor", factor, least=0.5, most=2)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        factor = draw(self.factor, (len(x), 1), x, generator)
        place = draw((0, 1), (len(x), 1), x, generator)
        return interpolate(x, heart_rate_map(r_peaks(x, fs), factor, place, fs, x.shape[-1]))

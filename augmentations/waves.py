"""Hiding one kind of wave: P, QRS or T, around the R peaks."""

from typing import Literal, get_args

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.peaks import r_peaks
from augmentations.ranges import Range, check_range, constant, draw
from augmentations.warping import between

Wave = Literal["P", "QRS", "T"]
WAVES: tuple[Wave, ...] = get_args(Wave)
# In s from the R peak, for T at an RR interval of 1 s: 98 to 99 % of the time that is annotated as such a wave in LUDB
# (200 people, 12 leads, 10 s), and at most 1 % of that of the other waves, lies inside.
_P, _QRS, _T = (-0.27, -0.07), (-0.075, 0.08), (0.11, 0.43)


def wave_spans(peaks: Tensor, wave: Tensor, fs: float) -> tuple[Tensor, Tensor]:
    """Where one kind of wave lies, going by the R peaks, (B, K), in samples and negative where there is none.

    `wave`, int64, (B,), is 0 for P, 1 for QRS and 2 for T. The result is each wave's first sample, and the sample after
    its last, both (B, K), float32; they may lie outside of the record, and are 0 where there is no peak. P is 0.27 to
    0.07 s before R, at most half an RR interval before, for the PR interval hardly depends on the rate; QRS from
    0.075 s before to 0.08 s after. T is 0.11 to 0.43 s after, times the cube root of the RR interval in s (Fridericia,
    which fits LUDB better than Bazett's square root), and ends where the next QRS begins.
    """
    time = peaks.float() / fs
    there = peaks >= 0
    none = time.new_full((len(time), 1), torch.inf)
    until = torch.where(there, time, -torch.inf).cummax(1).values
    since = torch.where(there, time, torch.inf).flip(1).cummin(1).values.flip(1)
    before = time - torch.cat([-none, until[:, :-1]], dim=1)  # to the beat before: inf for the first
    after = torch.cat([since[:, 1:], none], dim=1) - time
    interval = torch.where(before.isinf(), after, before)
    interval = torch.where(interval.isinf(), 1.0, interval).clamp(0.25, 2.5)

    is_p, is_t, scale = (wave == 0)[:, None], (wave == 2)[:, None], interval.pow(1 / 3)
    begin = torch.where(is_p, (interval / -2).clamp_min_(_P[0]), torch.where(is_t, scale * _T[0], _QRS[0]))
    end = torch.where(is_p, _P[1], torch.where(is_t, scale * _T[1], _QRS[1]))
    end = torch.minimum(end, after + _QRS[0]).maximum(begin)
    return torch.where(there, (time + begin) * fs, 0).round(), torch.where(there, (time + end) * fs, 0).round()


def mask_waves(
    x: Tensor, peaks: Tensor, wave: Tensor, chosen: Tensor, fs: float, fill: Literal["bridge", "zero"] = "bridge"
) -> Tensor:
    """Hides one kind of wave in the chosen beats, bool, (B, K), in all leads of (B, C, T).

    `peaks`, (B, K), are given, or found by `r_peaks`; `wave` is as in `wave_spans`. What is put there is zero, or as
    "bridge" a straight line between the samples at both sides.
    """
    length = x.shape[-1]
    start, end = wave_spans(peaks, wave, fs)
    edges = torch.cat([start, end], dim=1).clamp_(0, length).long()
    sign = torch.cat([chosen, chosen], dim=1).float()
    sign[:, peaks.shape[1] :].neg_()
    depth = sign.new_zeros(len(x), length + 1).scatter_add_(1, edges, sign)
    hidden = depth.cumsum_(1)[:, :length] > 0.5
    if fill == "zero":
        return x * ~hidden[:, None]

    time = torch.arange(length, device=x.device, dtype=torch.int32)
    left = torch.where(hidden, -1, time).cummax(1).values
    right = torch.where(hidden, length, time).flip(1).cummin(1).values.flip(1)
    weight = (time - left).float() / (right - left).clamp_min(1)
    left, right = torch.where(left < 0, right, left), torch.where(right == length, left, right)  # ends are held
    left, right = (at.clamp(0, length - 1).long() for at in (left, right))
    return between(x, left, right, weight)


class WaveMask(Augmentation):
    """Hides the P waves, the QRS complexes or the T waves, in some of the beats and in all leads.

    One kind of wave is drawn for each sample; where it lies is judged by the R peaks (`wave_spans`), which are
    found in the signal (`r_peaks`): where there is another rhythm than sinus rhythm, the place of a P wave may
    hold none. Where P, QRS or T carries the label, leave it out of `waves`. Known peaks go to `mask_waves`.

    Reference: masks of PR, QRS and QT segments, in the library of Avramidis et al., Scaling Representation
    Learning from Ubiquitous ECG with State-Space Models, 2023, https://arxiv.org/abs/2309.15292

    Args:
        waves: From which the wave is drawn: some of "P", "QRS", "T".
        share: Range of the share of beats; each beat of a sample has this chance.
        fill: "bridge", a straight line between the ends, or "zero".
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self,
        waves: tuple[Wave, ...] = WAVES,
        share: Range = (0.3, 1.0),
        fill: Literal["bridge", "zero"] = "bridge",
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        if not waves or any(wave not in WAVES for wave in waves):
            raise ValueError(f'waves are some of "P", "QRS" and "T", at least one, not {waves!r}')
        if fill not in ("bridge", "zero"):
            raise ValueError(f'fill is "bridge" or "zero", not {fill!r}')
        self.waves = tuple(waves)
        self.share = check_range("share", share, least=0, most=1)
        self.fill = fill

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        peaks = r_peaks(x, fs)
        which = torch.randint(len(self.waves), (len(x),), generator=generator, device=x.device)
        wave = constant([WAVES.index(name) for name in self.waves], x).long()[which]
        share = draw(self.share, (len(x), 1), x, generator)
        chosen = torch.rand(peaks.shape, generator=generator, device=x.device) < share
        return mask_waves(x, peaks, wave, chosen, fs, self.fill)

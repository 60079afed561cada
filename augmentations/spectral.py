"""Changes of the spectrum: bands that are taken away, and phases that are shuffled."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.fourier import fast_length, filter_spectrum, is_smooth
from augmentations.masking import draw_spans, outside
from augmentations.ranges import Range, check_count, check_nyquist, check_positive, check_range, draw

_MARGIN = 0.02  # what a filter adds to the record at least, to join its ends, as a share of it


def _padded(x: Tensor) -> int:
    return fast_length(math.ceil(x.shape[-1] * (1 + _MARGIN)))


def _exact(x: Tensor) -> int:
    return x.shape[-1] if is_smooth(x.shape[-1]) else _padded(x)


def _frequencies(length: int, fs: float, like: Tensor) -> Tensor:
    return torch.arange(length // 2 + 1, device=like.device, dtype=like.dtype) * (fs / length)


def band_stop(frequency: Tensor, centre: Tensor, width: Tensor, edge: float) -> Tensor:
    """The response of a filter that stops a band: 0 in it, 1 beyond its edges, smooth in between.

    All in Hz: `frequency`, (F,), where to compute it; `centre` and `width` of the band, (B, 1); `edge`, how far beyond
    the band the response is 1 again. Real, (B, F).
    """
    slope = ((frequency - centre).abs_() - width / 2).div_(edge).clamp_(0, 1)
    return slope.square() * (3 - 2 * slope)


def band_pass(frequency: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The response of a band-pass filter: Butterworth's of second order, forth and back in time.

    Half the amplitude (-6 dB) is left at each cut-off, 1/16 an octave beyond, and there is no delay. All in Hz:
    `frequency`, (F,), where to compute it; the cut-offs `low` (at 0 there is none) and `high`, (B, 1). Real, (B, F).
    """
    below = (low / frequency.clamp_min(1e-6)).square_().square_()
    above = (frequency / high).square_().square_()
    return 1 / ((1 + below) * (1 + above))


def phase_shift(phase: Tensor, length: int) -> Tensor:
    """The response that turns the phase at each frequency of a record, and nothing else: complex, of absolute value 1.

    `phase` has angles in rad for each frequency k fs / `length`, (B, `length` // 2 + 1). Those at zero and at half the
    sampling rate count as 0: there a real signal has no phase.
    """
    order = torch.arange(length // 2 + 1, device=phase.device)
    phase = phase * ((order > 0) & (2 * order < length))
    return torch.complex(phase.cos(), phase.sin())  # twice as fast as torch.polar


class BandStop(Augmentation):
    """Takes a random band of frequencies away, smoothly, in all leads: a linear filter without delay.

    Rate and rhythm stay. A band among 5 to 20 Hz takes much of the QRS, one below 5 Hz of the P and T waves and of
    the ST segment; one that reaches 0 Hz takes the offset too. Near the ends of the record (some 1 / `edge`
    seconds) the result depends on a signal that was not recorded; `joint` says what is put there.

    Reference: Mohsenvand et al., ML4H 2020, https://proceedings.mlr.press/v136/mohsenvand20a.html; for ECG in Cheng et
    al., Subject-Aware Contrastive Learning for Biosignals, 2020, https://arxiv.org/abs/2007.04871

    Args:
        centre: Range of the band's centre in Hz.
        width: Range of its width in Hz: within it nothing is left.
        edge: Within how many Hz beyond the band the response rises to 1; of a record shorter than 1 / `edge`
            seconds, which cannot tell frequencies so close apart, within 1 / its duration.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self, centre: Range = (1.0, 40.0), width: Range = (2.0, 8.0), edge: float = 1.0, p: float = 0.5
    ) -> None:
        super().__init__(p)
        self.centre = check_range("centre", centre, least=0)
        self.width = check_range("width", width, least=0)
        self.edge = check_positive("edge", edge, "Hz")

    def check(self, fs: float) -> None:
        super().check(fs)
        remedy = "lower its `centre` or `width`, or use FrequencyMask, whose bands are shares of the spectrum"
        check_nyquist("BandStop", self.centre[1] + self.width[1] / 2, fs, remedy, reached=True)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        length = _padded(x)
        centre = draw(self.centre, (len(x), 1), x, generator)
        width = draw(self.width, (len(x), 1), x, generator)
        edge = max(self.edge, fs / length)
        return filter_spectrum(x, band_stop(_frequencies(length, fs, centre), centre, width, edge), length)


class BandPass(Augmentation):
    """Keeps a random band of frequencies, as devices with other filters do: monitors 0.5 to 40 Hz, and so on.

    The band is given by its two cut-offs: a centre and a width in Hz would hardly ever set the lower one, a
    fraction of a Hz, apart. Rate and rhythm stay. A lower cut-off takes the offset and the wander away, near 1 Hz
    it bends the ST segment; an upper one makes the QRS lower and wider. There is no delay (`band_pass`).

    Reference: the bandwidths of devices, and what they do to an ECG, in Kligfield et al., Circulation 2007,
    https://doi.org/10.1161/CIRCULATIONAHA.106.180200

    Args:
        low: Range of the lower cut-off (-6 dB) in Hz; at 0 there is none.
        high: Range of the upper cut-off (-6 dB) in Hz.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, low: Range = (0.05, 1.0), high: Range = (15.0, 45.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.low = check_range("low", low, least=0)
        self.high = check_range("high", high, least=0)
        if self.low[1] >= self.high[0]:
            raise ValueError(f"low ends below where high begins, not low={low!r} and high={high!r}")

    def check(self, fs: float) -> None:
        super().check(fs)
        check_nyquist("BandPass", self.high[1], fs, "lower its `high`", reached=True)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        length = _padded(x)
        low = draw(self.low, (len(x), 1), x, generator)
        high = draw(self.high, (len(x), 1), x, generator)
        return filter_spectrum(x, band_pass(_frequencies(length, fs, low), low, high), length)


class FrequencyMask(Augmentation):
    """Sets one or more bands of the record's spectrum to zero: `TimeMask` in frequency. They never overlap.

    Not a filter as `BandStop` is: the bands are shares of the spectrum from zero to half the sampling rate, several
    at once, with sharp edges, and exact: what is masked is gone from the record's Fourier transform, the rest is
    untouched (nearly so where the number of samples is not 2^a 3^b 5^c: then `joint` is added for speed). What a
    sharp edge costs is ringing over the whole record, around its ends as well. In an ECG nearly all of the power is
    below 40 Hz: at a high sampling rate most bands hit little.

    Reference: frequency masking in Park et al., SpecAugment, Interspeech 2019, https://arxiv.org/abs/1904.08779,
    here of one spectrum for the record, without a spectrogram.

    Args:
        share: Range of the masked frequencies, all bands together, as a share of the spectrum, 0 to 1.
        bands: How many bands of equal width the masked frequencies are divided into.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, share: Range = (0.05, 0.3), bands: int = 3, p: float = 0.5) -> None:
        super().__init__(p)
        self.share = check_range("share", share, least=0, most=1)
        self.bands = check_count("bands", bands)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        length = _exact(x)
        size = length // 2 + 1
        start, end = draw_spans(draw(self.share, (len(x), 1), x, generator), self.bands, size, generator)
        return filter_spectrum(x, outside(start, end, size)[:, 0].to(start.dtype), length)


class FourierSurrogate(Augmentation):
    """Shuffles the phases of the record's spectrum: the power at each frequency stays, the shape of waves does not.

    One random phase for each frequency is shared by the leads, so their cross-spectra, and with them Einthoven's
    law, stay as well. This is not physiological: at full strength a heart beat is spread over the record as noise
    of the same spectrum; at 0.1 to 0.3 the beats stand out of such noise. The Fourier transform takes the record's
    end and beginning for neighbours, and a step between them for power at high frequencies, which is spread too.
    Power and cross-spectra stay exactly where the number of samples is 2^a 3^b 5^c; else nearly, for speed (`joint`).

    Reference: Schwabedal et al., Addressing Class Imbalance in Classification Problems of Noisy Signals by using
    Fourier Transform Surrogates, 2018, https://arxiv.org/abs/1806.08675; with a strength in Rommel et al., Data
    augmentation for learning predictive models on EEG, Journal of Neural Engineering 2022,
    https://arxiv.org/abs/2206.14483

    Args:
        strength: Range of the strength, 0 to 1: phases change by up to this times 180 degrees, either way.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, strength: Range = (0.05, 0.3), p: float = 0.5) -> None:
        super().__init__(p)
        self.strength = check_range("strength", strength, least=0, most=1)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        length = _exact(x)
        strength = draw(self.strength, (len(x), 1), x, generator)
        phase = draw((-math.pi, math.pi), (len(x), length // 2 + 1), x, generator) * strength
        return filter_spectrum(x, phase_shift(phase, length), length)

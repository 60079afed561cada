"""What changes of the spectrum promise: the bands that filters stop and pass, masks, and surrogates."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations import fourier
from augmentations.fourier import fast_length, filter_spectrum, is_smooth, joint
from augmentations.spectral import BandPass, BandStop, FourierSurrogate, FrequencyMask, band_pass, band_stop

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)
smooth = st.sampled_from([1, 2, 3, 8, 15, 100, 125, 250, 1000, 1024])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def sine(frequency, fs, seconds=20, batch=20):
    time = torch.arange(int(seconds * fs), dtype=torch.float64) / fs
    return torch.sin(2 * math.pi * frequency * time + 0.3).expand(batch, 2, -1)


def gain_of(augmentation, frequency, fs=200.0):
    """How much of a sine is left far from the record's ends, with its sign: a filter without delay keeps that."""
    x = sine(frequency, fs)
    y = augmentation(x, fs, seeded())
    middle = slice(x.shape[-1] // 4, -x.shape[-1] // 4)
    gain = (y * x)[..., middle].sum(-1) / x.square()[..., middle].sum(-1)
    torch.testing.assert_close(y[..., middle], (gain[..., None] * x)[..., middle], atol=2e-3, rtol=0)
    return gain


# ---- the transform


@pytest.mark.parametrize("length", [*range(1, 40), 997, 1000, 1125, 2501, 5000, 9999])
def test_fast_length_is_the_least_that_is_fast(length):
    powers = [2**a * 3**b * 5**c for a in range(3, 15) for b in range(9) for c in range(6)]
    assert fast_length(length) == min(n for n in powers if n >= length)


def test_smooth_lengths():
    assert [n for n in range(1, 31) if is_smooth(n)] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 27, 30]


@quick
@given(st.integers(1, 200), st.integers(1, 300), seeds)
def test_joint_runs_from_the_end_mirrored_to_the_beginning_mirrored(size, added, seed):
    x = randn(2, 2, size, seed=seed)
    between = joint(x, size + added)
    weight = torch.arange(1, added + 1, dtype=torch.float64) / (added + 1)
    for k in range(added):
        end = x[..., max(size - 2 - k, 0)]
        beginning = x[..., min(added - k, size - 1)]
        torch.testing.assert_close(between[..., k], (1 - weight[k]) * end + weight[k] * beginning)


def test_joint_leaves_no_step():
    x = torch.linspace(0, 1, 1000, dtype=torch.float64).view(1, 1, -1)
    ring = torch.cat([x, joint(x, 1024), x], dim=-1)
    assert ring.diff().abs().max() < 0.05, "a ramp from 0 to 1 comes back down in 24 steps"


@quick
@given(st.integers(1, 300), st.sampled_from([torch.float32, torch.float64]), seeds)
def test_a_response_of_one_is_the_identity(size, dtype, seed):
    x = randn(3, 2, size, seed=seed).to(dtype)
    for length in {size, fast_length(size), fast_length(size + 5)}:
        y = filter_spectrum(x, torch.ones(3, length // 2 + 1, dtype=dtype), length)
        torch.testing.assert_close(y, x)


@quick
@given(st.integers(1, 60), seeds)
def test_filters_are_circular_convolutions_of_each_sample_with_its_own(size, seed):
    x, kernel = randn(4, 3, size, seed=seed), randn(4, size, seed=seed + 1)
    y = filter_spectrum(x, torch.fft.rfft(kernel), size)
    shifts = torch.stack([x.roll(k, -1) for k in range(size)], dim=-1)
    torch.testing.assert_close(y, torch.einsum("bctk,bk->bct", shifts, kernel))


def test_blocks_change_nothing(monkeypatch):
    x, response = randn(13, 2, 90), randn(13, 49)
    whole = filter_spectrum(x, response, 96)
    monkeypatch.setattr(fourier, "_BLOCK", 4 * 2 * 96)  # four samples at a time, and one is left
    torch.testing.assert_close(filter_spectrum(x, response, 96), whole)


# ---- band stop


def test_band_stop_is_zero_inside_one_outside_and_half_on_the_slope():
    frequency = torch.tensor([0.0, 5.9, 7.0, 7.5, 8.0, 10.0, 12.0, 12.5, 13.0, 40.0], dtype=torch.float64)
    response = band_stop(frequency, column(10.0, 20.0), column(4.0, 0.0), 1.0)
    torch.testing.assert_close(response[0], column(1, 1, 1, 0.5, 0, 0, 0, 0.5, 1, 1)[:, 0])
    assert response[1].eq(1).all()


@pytest.mark.parametrize("fs", [100.0, 250.0])
def test_band_stop_removes_its_band_and_nothing_else(fs):
    stop = BandStop(centre=(10, 10), width=(4, 4), edge=1, p=1)
    assert gain_of(stop, 10, fs).abs().max() < 1e-3
    assert gain_of(stop, 8.5, fs).abs().max() < 3e-3
    for frequency in (1, 6, 14, 40):
        assert (gain_of(stop, frequency, fs) - 1).abs().max() < 2e-3
    assert (gain_of(stop, 7.5, fs) - 0.5).abs().max() < 0.02


def test_band_stop_draws_centre_and_width():
    impulse = torch.zeros(2000, 1, 2000, dtype=torch.float64)
    impulse[..., 1000] = 1
    response = torch.fft.rfft(BandStop((10, 30), (2, 6), 0.2, p=1)(impulse, 200, seeded())).abs()[:, 0]
    frequency = torch.fft.rfftfreq(2000, 1 / 200)
    stopped = response < 0.5
    width = stopped.sum(1) / 10
    centre = (stopped * frequency).sum(1) / stopped.sum(1)
    assert 9.8 < centre.min() < 10.3
    assert 29.7 < centre.max() < 30.2
    assert abs(centre.mean() - 20) < 0.6
    assert 2 < width.min() < 2.4
    assert 6 < width.max() < 6.4
    assert abs(width.mean() - 4.2) < 0.15


def test_band_stop_at_zero_takes_the_offset():
    x = randn(5, 2, 1000) + 100
    y = BandStop((0, 0), (2, 2), p=1)(x, 100)
    assert y.mean(-1).abs().max() < 0.1
    y = BandStop((10, 20), (2, 2), p=1)(x, 100)
    assert (y.mean(-1) - x.mean(-1)).abs().max() < 0.1


def test_filters_do_not_ring_at_the_ends_of_a_record_with_a_drift():
    x = torch.linspace(0, 100, 1000, dtype=torch.float64).expand(4, 1, -1)
    for filtered in (BandStop((10, 20), (5, 5), p=1), BandPass((0, 0), (20, 20), p=1)):
        error = (filtered(x, 100, seeded()) - x).abs()
        assert error[..., 200:-200].max() < 0.2
        assert error.max() < 20, "a step from 100 to 0 would leave half of itself"


# ---- band pass


def test_band_pass_is_two_butterworths_forth_and_back():
    frequency = torch.tensor([0.0, 0.25, 0.5, 4.0, 40.0, 80.0], dtype=torch.float64)
    response = band_pass(frequency, column(0.5, 0.0), column(40.0, 40.0))
    expected = column(0, 1 / 17, 0.5, 1 - 2**-12 - 1e-4, 0.5, 1 / 17)[:, 0]
    torch.testing.assert_close(response[0], expected, atol=1e-3, rtol=0)
    assert response[1, 0] == 1, "no lower cut-off: the offset stays"
    assert band_pass(frequency.float(), column(9.0).float(), column(40.0).float()).isfinite().all()


@pytest.mark.parametrize("fs", [100.0, 250.0])
def test_band_pass_keeps_its_band_and_halves_at_its_cut_offs(fs):
    keep = BandPass(low=(1, 1), high=(20, 20), p=1)
    assert (gain_of(keep, 4.5, fs) - 1).abs().max() < 0.01
    assert (gain_of(keep, 1, fs) - 0.5).abs().max() < 0.01
    assert (gain_of(keep, 20, fs) - 0.5).abs().max() < 0.01
    assert (gain_of(keep, 40, fs) - 1 / 17).abs().max() < 0.01


def test_band_pass_draws_its_cut_offs():
    impulse = torch.zeros(1000, 1, 2000, dtype=torch.float64)
    impulse[..., 1000] = 1
    response = torch.fft.rfft(BandPass((2, 6), (20, 40), p=1)(impulse, 200, seeded())).abs()[:, 0]
    kept = response >= 0.5
    low, high = kept.double().argmax(1) / 10, (2000 // 2 - kept.flip(1).double().argmax(1)) / 10
    for cut_off, least, most in ((low, 2, 6), (high, 20, 40)):
        assert least - 0.5 < cut_off.min() < least + 0.5
        assert most - 1.5 < cut_off.max() < most + 0.5
        assert abs(cut_off.mean() - (least + most) / 2) < 0.7


# ---- mask


@quick
@given(st.floats(0, 1), st.integers(1, 6), smooth, seeds)
def test_mask_takes_exactly_its_share_of_the_spectrum(share, bands, size, seed):
    x = randn(20, 2, size, seed=seed)
    before, after = (torch.fft.rfft(s) for s in (x, FrequencyMask((share, share), bands, p=1)(x, 100, seeded(seed))))
    hidden = after.abs() < 1e-9 * before.abs().amax()
    assert torch.equal(hidden[:, 0], hidden[:, 1]), "leads are masked together"
    assert (hidden[:, 0].sum(1) - share * (size // 2 + 1)).abs().max() <= 0.5 + 1e-3
    torch.testing.assert_close(after[~hidden], before[~hidden])
    starts = torch.nn.functional.pad(hidden[:, 0].int(), (1, 0)).diff().eq(1).sum(1)
    assert starts.max() <= bands


def test_mask_draws_its_share_and_its_places_evenly():
    impulse = torch.zeros(4000, 1, 400, dtype=torch.float64)
    impulse[..., 0] = 1
    hidden = torch.fft.rfft(FrequencyMask((0.1, 0.5), bands=1, p=1)(impulse, 100, seeded()))[:, 0].abs() < 0.5
    covered = hidden.double().mean(1)
    assert 0.09 < covered.min() < 0.12
    assert 0.48 < covered.max() < 0.51
    assert abs(hidden[:, :100].double().mean() - hidden[:, 101:].double().mean()) < 0.02
    many = torch.fft.rfft(FrequencyMask((0.3, 0.3), bands=4, p=1)(impulse, 100, seeded()))[:, 0].abs() < 0.5
    runs = torch.nn.functional.pad(many.int(), (1, 0)).diff().eq(1).sum(1)
    assert runs.double().mean() > 3.5


# ---- surrogates


@quick
@given(st.floats(0, 1), smooth, seeds)
def test_surrogates_keep_power_and_cross_spectra(strength, size, seed):
    x = randn(6, 3, size, seed=seed) + 1
    before, after = (torch.fft.rfft(s) for s in (x, FourierSurrogate((strength, strength), p=1)(x, 100, seeded(seed))))
    torch.testing.assert_close(after.abs(), before.abs())
    torch.testing.assert_close(after[:, :1] * after.conj(), before[:, :1] * before.conj())
    turned = (after / before).angle().abs()
    assert turned.max() <= strength * math.pi + 1e-6
    assert turned[..., 0].max() < 1e-9, "the offset stays"
    if size % 2 == 0:
        assert turned[..., -1].max() < 1e-9


def test_surrogates_draw_phases_evenly_for_each_frequency():
    x = randn(1000, 1, 100)
    phase = (torch.fft.rfft(FourierSurrogate((0.5, 0.5), p=1)(x, 100, seeded())) / torch.fft.rfft(x)).angle()[
        :, 0, 1:-1
    ]
    quarters = torch.histc(phase, bins=4, min=-math.pi / 2, max=math.pi / 2) / phase.numel()
    assert (quarters - 0.25).abs().max() < 0.01
    assert torch.corrcoef(phase.T).fill_diagonal_(0).abs().max() < 0.17, "frequencies are drawn one by one"


def test_a_little_is_little_and_all_is_all():
    x = randn(50, 2, 500)
    likeness = [
        torch.nn.functional.cosine_similarity(FourierSurrogate((s, s), p=1)(x, 100, seeded()), x, dim=-1).mean()
        for s in (0, 0.1, 0.3, 1)
    ]
    for got, strength in zip(likeness, (0, 0.1, 0.3, 1), strict=True):
        expected = torch.sinc(torch.tensor(float(strength)))  # the mean cosine of phases within +- strength pi
        assert abs(got - expected) < 0.03


@pytest.mark.parametrize("size", [7, 187, 997])
def test_lengths_that_are_not_smooth_keep_nearly_what_others_keep(size):
    x = randn(50, 2, size).cumsum(-1)
    power = torch.fft.rfft(x).abs().square().sum(-1)
    after = torch.fft.rfft(FourierSurrogate(p=1)(x, 100, seeded())).abs().square().sum(-1)
    assert (after / power).log().abs().median() < 0.2
    none = FrequencyMask((0, 0), p=1)(x, 100)
    torch.testing.assert_close(none, x)


# ---- refusals


def test_bands_beyond_half_the_sampling_rate_are_refused():
    with pytest.raises(ValueError, match=r"BandStop up to 44 Hz needs a sampling rate of 88 Hz.*FrequencyMask"):
        BandStop().check(87)
    with pytest.raises(ValueError, match=r"BandPass up to 45 Hz needs a sampling rate of 90 Hz.*lower its `high`"):
        BandPass().check(89)
    BandStop().check(88)
    BandPass().check(90)
    FrequencyMask().check(1)
    FourierSurrogate().check(1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BandStop(centre=(-1, 5)), "centre is a range"),
        (lambda: BandStop(width=(5, 1)), "width is a range"),
        (lambda: BandStop(edge=0), "edge is a positive number"),
        (lambda: BandStop(edge=float("inf")), "edge is a positive number"),
        (lambda: BandPass(low=(-1, 1)), "low is a range"),
        (lambda: BandPass(low=(0, 10), high=(10, 20)), "low ends below where high begins"),
        (lambda: FrequencyMask(share=(0, 1.1)), "share is a range"),
        (lambda: FrequencyMask(bands=0), "bands is a whole number"),
        (lambda: FourierSurrogate(strength=(0, 1.1)), "strength is a range"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

"""What coloured noise, muscle noise, electrode motion, drift, recordings and the drifting hum promise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations.coloured import ColouredNoise, MuscleNoise, add_shifted, shaped_noise
from augmentations.motion import ElectrodeMotion, transients
from augmentations.noise import signal_sd
from augmentations.powerline import Powerline, harmonic_hum
from augmentations.recorded import RecordedNoise, load_recording, mix_at_snr, resample_recording
from augmentations.sources import add_sources, mixture_sd, spline_basis
from augmentations.wander import BaselineDrift

quick = settings(max_examples=4, deadline=None)
seeds = st.integers(0, 2**31)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def power_spectrum(x, fs):
    """The power of (..., T) at each frequency, under a Hann window."""
    power = torch.fft.rfft(x * torch.hann_window(x.shape[-1], dtype=x.dtype)).abs().square()
    return torch.fft.rfftfreq(x.shape[-1], 1 / fs, dtype=x.dtype), power


def share_of_energy(x, fs, low, high):
    frequency, power = power_spectrum(x, fs)
    return power[..., (low <= frequency) & (frequency <= high)].sum(-1) / power.sum(-1)


def added_by(augmentation, x, fs, seed=0):
    return augmentation(x, fs, seeded(seed)) - x


def sd_added(augmentation, x, fs, seed=0):
    """The root mean square of what was added, in standard deviations of the sample."""
    return added_by(augmentation, x, fs, seed).square().mean((1, 2)).sqrt() / signal_sd(x)[:, 0]


# ---- coloured noise


def slope(x, fs, low, high):
    """The exponent of the power law that fits each sample's mean spectrum over its leads between two frequencies."""
    frequency, power = power_spectrum(x, fs)
    band = (low <= frequency) & (frequency <= high)
    log_frequency = frequency[band].log()
    log_frequency = log_frequency - log_frequency.mean()
    return power[..., band].log().mean(1) @ log_frequency / log_frequency.square().sum()


@quick
@given(st.floats(0, 3), st.sampled_from([3, 16]), st.sampled_from([100.0, 500.0]), seeds)
def test_coloured_noise_falls_as_the_stated_power_of_frequency(exponent, batch, fs, seed):
    x = randn(batch, 12, 4000, seed=seed)
    added = added_by(ColouredNoise((0.5, 0.5), (exponent, exponent), p=1), x, fs, seed)
    assert (slope(added, fs, fs / 400, fs / 2.1) + exponent).abs().max() < 0.1
    # And throughout: neither the lower nor the upper part bends away.
    assert (slope(added, fs, fs / 400, fs / 40).mean() + exponent).abs() < 0.2
    assert (slope(added, fs, fs / 8, fs / 2.1).mean() + exponent).abs() < 0.1


def test_coloured_noise_falls_from_one_period_in_the_record_on():
    added = torch.cat(
        [added_by(ColouredNoise((1, 1), (2, 2), p=1), randn(8, 12, 1000), 1000, seed) for seed in range(8)]
    )
    assert abs(slope(added, 1000, 3, 16).mean() + 2) < 0.08
    assert power_spectrum(added, 1000)[1][..., 0].mean() < power_spectrum(added, 1000)[1][..., 1].mean()


def test_coloured_noise_covers_its_exponents():
    fitted = -torch.cat([slope(added_by(ColouredNoise(exponent=(0.5, 2), p=1), randn(8, 12, 2000), 100, s), 100, 1, 49)
                         for s in range(10)])  # fmt: skip
    assert 0.4 < fitted.min() < 0.7
    assert 1.8 < fitted.max() < 2.1
    assert abs(fitted.mean() - 1.25) < 0.15
    assert len(fitted.unique()) == 80


@quick
@given(st.floats(0.01, 3), st.floats(0.001, 1000), st.sampled_from([0.0, 1.0]), st.sampled_from([5, 40]), seeds)
def test_coloured_noise_has_the_stated_sd(sd, unit, exponent, batch, seed):
    x = unit * (randn(batch, 12, 1000, seed=seed) + 5)
    ratio = sd_added(ColouredNoise((sd, sd), (exponent, exponent), p=1), x, 100, seed) / sd
    assert (ratio - 1).abs().max() < (0.05 if exponent == 0 else 0.15)
    assert abs(ratio.mean() - 1) < 0.03


@pytest.mark.parametrize(
    "augmentation", [ColouredNoise((1, 1), (0, 1), p=1), MuscleNoise((1, 1), tremor=0, burst=100, p=1)]
)
@pytest.mark.parametrize("batch", [6, 100])
def test_leads_and_samples_differ(augmentation, batch):
    x = randn(batch, 4, 2000)
    noise = torch.nn.functional.normalize(added_by(augmentation, x, 500), dim=-1)
    leads = noise @ noise.mT - torch.eye(4)
    assert leads.abs().max() < 0.35
    samples = noise.flatten(1) @ noise.flatten(1).mT / 4 - torch.eye(batch)
    assert samples.abs().max() < 0.35, "two samples have the same noise at the same time"


@pytest.mark.parametrize("batch", [39, 255, 287, 1000])
@pytest.mark.parametrize("length", [1, 2, 30])
def test_short_records_have_a_shift_for_each_sample_of_a_large_batch(batch, length):
    x = randn(batch, 2, length)
    for augmentation in (ColouredNoise(p=1), MuscleNoise(p=1)):
        added = added_by(augmentation, x, 500)
        assert added.isfinite().all()
        if length > 2:
            assert len(added.flatten(1).unique(dim=0)) == batch


def test_gradients_pass():
    x = randn(4, 3, 300).requires_grad_()
    hum = Powerline(harmonics=2, frequency_drift=0.1, amplitude_drift=0.1, p=1)
    recorded = RecordedNoise(randn(3, 999), 100, p=1)
    for one in (ColouredNoise(p=1), MuscleNoise(p=1), ElectrodeMotion(p=1), BaselineDrift(p=1), recorded, hum):
        (gradient,) = torch.autograd.grad(one(x, 500, seeded()).square().sum(), x)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_shifted_noise_is_the_noise_and_goes_round():
    x, noise, strength = randn(7, 2, 50), randn(3, 2, 60, seed=1), torch.rand(7, 1, generator=seeded()).double()
    y = (add_shifted(x, noise, strength) - x) / strength[..., None]
    which = [0, 0, 1, 1, 2, 2, 2]
    shifts = [0, 30, 0, 30, 0, 20, 40]
    expected = torch.stack([noise[k].roll(-shift, -1)[:, :50] for k, shift in zip(which, shifts, strict=True)])
    torch.testing.assert_close(y, expected)
    over_time = torch.rand(7, 50, generator=seeded()).double()
    one = add_shifted(x, noise[:1], over_time) - x
    torch.testing.assert_close(one[3], noise[0].roll(-24, -1)[:, :50] * over_time[3])


def test_shaped_noise_has_its_spectrum_and_unit_power():
    weight = torch.rand(2, 20, generator=seeded(), dtype=torch.float64) + 0.1
    noise = shaped_noise(weight, 4000, 128, seeded(), first=5)
    torch.testing.assert_close(noise.square().mean((1, 2)), torch.ones(2, dtype=torch.float64))
    amplitude = torch.fft.rfft(noise).abs().square().mean(1).sqrt()
    assert amplitude[:, :5].max() < 1e-9
    assert amplitude[:, 25:].max() < 1e-9
    ratio = amplitude[:, 5:25] / weight
    assert (ratio / ratio.mean(1, keepdim=True) - 1).abs().max() < 0.05


# ---- muscle noise


@quick
@given(st.sampled_from([300.0, 360.0, 500.0, 1000.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([4, 16]), seeds)
def test_muscle_noise_is_in_its_band(fs, tremor, batch, seed):
    added = added_by(MuscleNoise(tremor=tremor, p=1), randn(batch, 3, 5000, seed=seed), fs, seed)
    assert share_of_energy(added, fs, 20, 150).min() > 0.99
    lower, upper = share_of_energy(added, fs, 20, 85), share_of_energy(added, fs, 85, 150)
    assert 0.35 < lower.mean() < 0.65  # or a narrower band would pass as well
    assert 0.35 < upper.mean() < 0.65


@pytest.mark.parametrize(("fs", "least"), [(100, 0.9), (250, 0.99)])
def test_muscle_noise_goes_up_to_half_the_sampling_rate(fs, least):
    added = added_by(MuscleNoise(p=1), randn(40, 2, 5000), fs)
    assert share_of_energy(added, fs, 20, fs / 2).min() > least
    middle = (20 + fs / 2) / 2
    assert 0.35 < share_of_energy(added, fs, middle, fs / 2).mean() < 0.65


@quick
@given(st.floats(0.01, 3), st.floats(0.001, 1000), st.floats(0, 1), st.sampled_from([4, 16]), seeds)
def test_muscle_noise_has_the_stated_sd_over_the_record(sd, unit, tremor, batch, seed):
    x = unit * (randn(batch, 12, 5000, seed=seed) + 5)
    ratio = sd_added(MuscleNoise((sd, sd), burst=0.5, tremor=tremor, p=1), x, 500, seed) / sd
    assert (ratio - 1).abs().max() < 0.12
    assert abs(ratio.mean() - 1) < 0.03


def test_muscle_noise_has_bursts_and_tremor():
    x = randn(60, 12, 5000).float()

    def envelope(tremor):  # root mean square over leads, of 20 ms each
        added = added_by(MuscleNoise((1, 1), burst=0.3, tremor=tremor, p=1), x, 500)
        return added.unflatten(-1, (500, 10)).square().mean((1, 3)).sqrt()

    still, trembling = envelope(0.0), envelope(1.0)
    variation = still.std(1) / still.mean(1)
    assert variation.min() < 0.2  # some contract evenly ...
    assert variation.max() > 0.7  # ... some in bursts
    rhythm = share_of_energy(trembling - trembling.mean(1, keepdim=True), 50, 3.5, 12.5)
    assert rhythm.median() > 0.5
    assert share_of_energy(still - still.mean(1, keepdim=True), 50, 3.5, 12.5).median() < 0.4
    half = share_of_energy(envelope(0.5) - envelope(0.5).mean(1, keepdim=True), 50, 3.5, 12.5)
    assert 0.3 < (half > 0.5).double().mean() < 0.7


def test_muscle_noise_is_refused_where_the_rate_cannot_carry_it():
    with pytest.raises(ValueError, match=r"from 20 Hz needs a sampling rate of at least 100 Hz.*GaussianNoise"):
        MuscleNoise().check(99.9)
    MuscleNoise().check(100)
    with pytest.raises(ValueError, match="at least 30 Hz apart"):
        MuscleNoise(band=(20, 24))


# ---- electrode motion


def test_transients_match_the_formula():
    onset, rise, decay = (torch.tensor([[a, b]], dtype=torch.float64) for a, b in ((40, 90), (3, 0.5), (20, 7)))
    time = torch.arange(200, dtype=torch.float64)
    first = torch.where(time < 40, ((time - 40) / 3).exp(), (-(time - 40) / 20).exp())
    second = torch.where(time < 90, ((time - 90) / 0.5).exp(), (-(time - 90) / 7).exp())
    made = transients(onset, torch.tensor([[2.0, -3.0]], dtype=torch.float64), rise, decay, 200)
    torch.testing.assert_close(made[0], 2 * first - 3 * second, atol=1e-12, rtol=0)


@quick
@given(st.floats(0.1, 10), st.floats(0.001, 1000), st.floats(0, 1), st.integers(1, 12), seeds)
def test_motion_has_the_stated_peak_in_its_strongest_lead(amplitude, unit, share, leads, seed):
    x = unit * (randn(30, leads, 1000, seed=seed) + 2)
    motion = ElectrodeMotion((amplitude, amplitude), (0, 0), (0.01, 0.02), (0.1, 0.5), share, p=1)  # one each
    peak = added_by(motion, x, 100, seed).abs().amax(-1) / signal_sd(x)
    torch.testing.assert_close(peak.amax(1), torch.full((30,), amplitude, dtype=peak.dtype))


def test_motion_happens_as_often_as_stated_and_anywhere():
    x = randn(400, 1, 6000)
    motion = ElectrodeMotion((1, 1), (6, 12), (0.001, 0.001), (0.01, 0.01), p=1)
    happens = added_by(motion, x, 100).abs() > 0.5 * signal_sd(x)[..., None]  # a sample or two each
    starts = torch.nn.functional.pad(happens[:, 0].int(), (1, 0)).diff().eq(1)
    counts = starts.sum(1)
    assert 5 <= counts.min() <= 7
    assert 11 <= counts.max() <= 13
    assert abs(counts.double().mean() - 9) < 0.3
    assert (starts.unflatten(1, (10, -1)).sum((0, 2)) / starts.sum() - 0.1).abs().max() < 0.03
    few = ElectrodeMotion((1, 1), (3, 3), (0.001, 0.001), (0.001, 0.001), p=1)  # 1.5 in a record of 30 s
    counts = (added_by(few, x[..., :3000], 100).abs() > 0.5 * signal_sd(x[..., :3000])[..., None]).sum((1, 2))
    assert set(counts.unique().tolist()) <= {1, 2}
    assert abs(counts.double().mean() - 1.5) < 0.1


def test_motion_rises_and_decays_in_the_stated_seconds_at_any_rate():
    for fs in (100, 500):
        x = randn(300, 1, 10 * fs)
        motion = ElectrodeMotion((1, 1), (0, 0), (0.1, 0.1), (1.0, 1.0), p=1)
        added = added_by(motion, x, fs)[:, 0].abs() / signal_sd(x)
        peak = added.argmax(1)
        inside = (peak > 2 * fs) & (peak < 8 * fs)
        later = added.gather(1, (peak + fs).clamp(max=10 * fs - 1)[:, None])[inside]
        before = added.gather(1, (peak - fs // 10).clamp(min=0)[:, None])[inside]
        torch.testing.assert_close(later, torch.full_like(later, math.exp(-1)))
        torch.testing.assert_close(before, torch.full_like(before, math.exp(-1)))


def test_one_electrode_moves_and_the_stated_share_of_leads_sees_it():
    x = randn(300, 12, 500)
    added = added_by(ElectrodeMotion(rate=(30, 60), leads=0.3, p=1), x, 100)
    first, second = torch.linalg.svdvals(added[:50])[:, :2].unbind(1)
    assert (second / first).max() < 1e-6
    seen = (added.abs().amax(-1) > 0).sum(1).double()
    assert seen.min() == 1
    assert abs(seen.mean() - (0.3 * 12 + 0.7**12)) < 0.2
    sign = (added * added[:, :1]).sum(-1).sign()[:, 1:]
    assert 0.4 < (sign[sign != 0] > 0).double().mean() < 0.6


# ---- drift


def test_splines_add_up_to_one_and_are_smooth():
    basis = spline_basis(1000, 37.5, torch.empty(0, dtype=torch.float64))
    torch.testing.assert_close(basis.sum(0), torch.ones(1000, dtype=torch.float64))
    assert basis.min() == 0
    assert basis.amax(1).min() > 0, "a spline is beside the record"
    assert basis[2].argmax() in (37, 38)
    torch.testing.assert_close(basis[1, 0], torch.tensor(2 / 3, dtype=torch.float64))
    assert basis.diff(n=2, dim=1).abs().max() < 2.1 / 37.5**2


@quick
@given(st.sampled_from([100.0, 360.0]), st.floats(0.3, 2), st.integers(1, 4), seeds)
def test_drift_stays_below_its_cut_off(fs, cutoff, sources, seed):
    x = randn(8, 3, 10_000, seed=seed).float()
    added = added_by(BaselineDrift((0.5, 1), cutoff, sources, p=1), x, fs, seed)
    resolution = 2 * fs / x.shape[-1]  # a Hann window's half width
    assert share_of_energy(added, fs, 0, cutoff + resolution).min() > 0.99


def test_drift_uses_its_band_as_a_random_walk_does():
    x = randn(200, 1, 10_000)
    frequency, power = power_spectrum(added_by(BaselineDrift((1, 1), p=1), x, 100), 100)
    mean = power.mean((0, 1))

    def at(hertz):
        return mean[(frequency - hertz).abs() < 0.02].mean()

    assert 3 < at(0.1) / at(0.2) < 6.5  # 1 / f^2, and a little from the splines
    assert at(0.4) / at(0.2) > 0.02
    assert at(0.8) / at(0.2) < 0.001


@quick
@given(st.floats(0.01, 3), st.floats(0.001, 1000), st.integers(1, 12), seeds)
def test_drift_has_the_stated_sd_over_the_record_and_no_offset(sd, unit, sources, seed):
    x = unit * (randn(20, 12, 2000, seed=seed) + 3)
    added = added_by(BaselineDrift((sd, sd), 0.5, sources, p=1), x, 100, seed)
    torch.testing.assert_close(added.square().mean((1, 2)).sqrt(), sd * signal_sd(x)[:, 0])
    assert added.mean(-1).abs().max() < 1e-9 * unit * max(sd, 1)


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_drift_has_as_many_sources_as_stated(sources):
    added = added_by(BaselineDrift(sources=sources, p=1), randn(20, 12, 4000), 100)
    values = torch.linalg.svdvals(added)
    assert (values[:, sources] / values[:, 0]).max() < 1e-6
    if sources > 1:
        assert (values[:, sources - 1] / values[:, 0]).median() > 0.02


@quick
@given(st.integers(1, 5), st.integers(1, 12), seeds)
def test_mixtures_match_the_formula(sources, leads, seed):
    x, source, gain = randn(3, leads, 60, seed=seed), randn(3, sources, 60, seed=seed + 1), randn(3, leads, sources)
    source = source - source.mean(-1, keepdim=True)
    before = x.clone()
    y = add_sources(x, source, gain)
    torch.testing.assert_close(y, x + torch.einsum("bcs,bst->bct", gain, source))
    assert torch.equal(x, before)
    torch.testing.assert_close(mixture_sd(source, gain), signal_sd(y - x))


def test_drift_is_refused_below_its_rate():
    with pytest.raises(ValueError, match=r"2 Hz needs a sampling rate above 4 Hz.*cutoff"):
        BaselineDrift(cutoff=2).check(4)
    BaselineDrift(cutoff=2).check(4.1)


# ---- recorded noise


def decibel(x, noise):
    power = [part.var(-1, correction=0).mean(-1) for part in (x, noise)]
    return 10 * (power[0] / power[1]).log10()


@quick
@given(st.floats(-20, 40), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 3), st.integers(2, 2000), seeds)
def test_mix_at_snr_is_exact(snr, unit, noise_unit, sources, length, seed):
    x = unit * (randn(5, 4, length, seed=seed) * torch.tensor([1.0, 2, 3, 0.1])[:, None] + 2)
    noise = noise_unit * (randn(5, sources or 4, length, seed=seed + 1).cumsum(-1) + 5)
    gain = randn(5, 4, sources, seed=seed + 2) if sources else None
    for dtype in (torch.float64, torch.float32):
        one, ratio = x.to(dtype), torch.full((5, 1), snr, dtype=dtype)
        y = mix_at_snr(one, noise.to(dtype), ratio, None if gain is None else gain.to(dtype))
        assert y.dtype == dtype
        assert (decibel(one, y.double() - one) - snr).abs().max() < 0.1
        assert ((y.double() - one).mean(-1).abs() < 1e-5 * unit * (1 + 10 ** (-snr / 20))).all()


def test_mixed_noise_keeps_its_shape():
    x, noise = randn(2, 3, 500), randn(2, 3, 500, seed=1)
    added = mix_at_snr(x, noise, torch.zeros(2, 1, dtype=torch.float64)) - x
    factor = added / (noise - noise.mean(-1, keepdim=True))
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor))
    assert factor.min() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_nothing_is_added_to_or_from_a_constant(dtype):
    x, noise, snr = randn(4, 2, 300).to(dtype), randn(4, 2, 300, seed=1).to(dtype), torch.zeros(4, 1)
    x[0] = 0.1
    noise[1], noise[2] = 0.1, 0
    for gain in (None, randn(4, 2, 2).float()):
        y = mix_at_snr(x, noise, snr, gain)
        assert y.isfinite().all()
        assert torch.equal(y[1:3], x[1:3])
        assert (y[0] - x[0]).abs().max() < 0.01
        assert not torch.equal(y[3], x[3])


@pytest.mark.parametrize(("fs", "new_fs"), [(360, 360), (360, 500), (500, 100), (250, 257.3)])
def test_resampling_keeps_tones_in_time(fs, new_fs):
    x = torch.sin(2 * math.pi * torch.tensor([[5.0], [17.0]]).double() * torch.arange(10 * fs).double() / fs + 1)
    y = resample_recording(x, fs, new_fs)
    assert abs(y.shape[-1] - 10 * new_fs) <= 18
    expected = torch.sin(
        2 * math.pi * torch.tensor([[5.0], [17.0]]).double() * torch.arange(y.shape[-1]).double() / new_fs + 1
    )
    inside = slice(y.shape[-1] // 10, -y.shape[-1] // 10)
    assert (y - expected)[:, inside].abs().max() < 0.01
    same = resample_recording(randn(2, 77), 100, 100)
    assert torch.equal(same, randn(2, 77))


def test_resampling_leaves_out_what_the_lower_rate_cannot_carry():
    high = torch.sin(2 * math.pi * 80 * torch.arange(10_000).double() / 500)[None]
    assert resample_recording(high, 500, 100)[:, 100:-100].abs().max() < 0.01


@pytest.mark.parametrize("fs", [360, 100, 500])
def test_recorded_noise_has_the_snr_and_comes_from_the_recording(fs):
    time = torch.arange(36_000).double() / 360
    noise = torch.stack([torch.sin(2 * math.pi * 7 * time), torch.sin(2 * math.pi * 13 * time)]) + 4
    x = randn(40, 6, 5 * fs).float() * 3 + 1
    added = added_by(RecordedNoise(noise, 360, (3, 9), p=1), x, fs).double()
    snr = decibel(x.double(), added)
    assert 2.9 < snr.min() < 3.5
    assert 8.5 < snr.max() < 9.1
    tones = share_of_energy(added, fs, 6.4, 7.6) + share_of_energy(added, fs, 12.4, 13.6)
    assert tones.min() > 0.999
    assert torch.linalg.svdvals(added)[:, 4].max() < 1e-4  # two tones, each of two phases at the most
    share = share_of_energy(added, fs, 6.4, 7.6)
    assert share.min() < 0.1  # each lead has its own mixture ...
    assert share.max() > 0.9
    phase = 2 * torch.fft.rfft(added[:, 0])[:, 35].angle()  # 7 Hz, of 5 s; twice, for gains of both signs
    assert phase.cos().mean().abs() < 0.4  # ... and each sample its own start
    assert phase.sin().mean().abs() < 0.4


def test_recorded_noise_starts_anywhere_and_stays_within():
    noise = torch.arange(1000.0)[None]  # a ramp: shows where each sample comes from, and any jump
    x = randn(500, 1, 900).float()
    added = added_by(RecordedNoise(noise, 100, (0, 0), p=1), x, 100)
    rise = added.diff()
    torch.testing.assert_close(rise, rise.mean(-1, keepdim=True).expand_as(rise), rtol=0, atol=1e-4)
    long = added_by(RecordedNoise(noise, 100, (0, 0), p=1), randn(20, 1, 2500).float(), 100).diff()
    assert long.abs().max() < 1.3 * long.abs().median(), "a short recording is continued without a jump"


def test_resampling_does_not_ring_at_the_ends():
    ramp = torch.arange(1000.0).double()[None]
    assert (resample_recording(ramp, 500, 100) - ramp[:, ::5]).abs().max() < 3
    assert (resample_recording(ramp, 500, 1000)[:, ::2] - ramp).abs().max() < 1


def test_recorded_noise_is_resampled_once_for_each_rate(monkeypatch):
    noise = RecordedNoise(randn(2, 5000), 360, p=1)
    x = randn(3, 2, 400)
    first = noise(x, 100, seeded())
    calls = []
    monkeypatch.setattr(
        "augmentations.recorded.resample_recording", lambda *a: calls.append(a) or resample_recording(*a)
    )
    assert torch.equal(noise(x, 100, seeded()), first)
    assert not calls
    noise(x, 200, seeded())
    noise(x.float(), 100, seeded())
    assert len(calls) == 2
    assert torch.equal(noise(x, 100, seeded()), first)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_recordings_are_read_from_files(tmp_path, dtype, order):
    values = np.asarray(np.random.default_rng(0).integers(-99, 99, (2, 300)), dtype=dtype, order=order)
    np.save(tmp_path / "noise.npy", values)
    torch.save(torch.from_numpy(values), tmp_path / "noise.pt")
    x = randn(3, 2, 100)
    for name in ("noise.npy", "noise.pt"):
        path = str(tmp_path / name)
        assert torch.equal(load_recording(path), torch.from_numpy(values))
        from_file, given_tensor = (RecordedNoise(n, 100, p=1) for n in (path, torch.from_numpy(values)))
        assert torch.equal(from_file(x, 100, seeded()), given_tensor(x, 100, seeded()))
        assert repr(from_file) == f"RecordedNoise(noise={path!r}, noise_fs=100.0, snr=(0.0, 20.0), p=1)"
        assert repr(given_tensor).startswith("RecordedNoise(noise=<tensor of shape (2, 300)>, noise_fs=100.0")


@pytest.mark.parametrize(
    ("noise", "error", "message"),
    [
        (torch.zeros(2, 30), ValueError, "constant"),
        (torch.ones(2, 30), ValueError, "constant"),
        (randn(30, 2), ValueError, r"\(leads, time\).*\.T"),
        (randn(30), ValueError, r"\(leads, time\)"),
        (randn(2, 30).log(), ValueError, "finite"),
        ([[1.0, 2.0]], TypeError, "list"),
        ("noise.wav", ValueError, r"\.pt or \.npy"),
        ("nowhere.pt", FileNotFoundError, "nowhere"),
    ],
)
def test_recordings_that_are_none_are_refused(noise, error, message):
    with pytest.raises(error, match=message):
        RecordedNoise(noise, 360)


def test_files_that_hold_no_recording_are_refused(tmp_path):
    torch.save({"noise": randn(2, 30)}, tmp_path / "dict.pt")
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "big.npy", np.zeros((2, 30), dtype=">f4"))
    for name, message in (("dict.pt", "holds a dict"), ("text.npy", "format"), ("big.npy", ">f4")):
        with pytest.raises(ValueError, match=message):
            RecordedNoise(str(tmp_path / name), 360)


# ---- the hum of the mains


def test_hum_matches_the_formula():
    phase, amplitude, offset = randn(3, 200).cumsum(1), randn(3, 4), randn(3, 4, seed=1)
    order = torch.arange(1, 5).double()[:, None]
    expected = (amplitude[..., None] * torch.sin(order * phase[:, None] + offset[..., None])).sum(1)
    torch.testing.assert_close(harmonic_hum(phase, amplitude, offset), expected)


@pytest.mark.parametrize("drift", [0.0, 1e-9])  # by the product of matrices, and directly
def test_harmonics_have_the_stated_sd_and_fall_off(drift):
    x = randn(120, 2, 5000)
    hum = Powerline((0.5, 0.5), (50,), 4, drift, p=1)
    added = added_by(hum, x, 1000)
    assert share_of_energy(added, 1000, 49, 201).min() > 0.999
    torch.testing.assert_close(added.square().mean((1, 2)).sqrt(), 0.5 * signal_sd(x)[:, 0], rtol=0.01, atol=0)
    shares = torch.stack([share_of_energy(added[:, 0], 1000, 50 * h - 1, 50 * h + 1) for h in (1, 2, 3, 4)])
    assert (shares.sum(0) - 1).abs().max() < 1e-3
    relative = (shares[1:] / shares[0]).sqrt() * torch.arange(2, 5)[:, None]
    assert 0.95 < relative.max() < 1.02
    assert relative.min() < 0.1
    assert (relative.mean(1) - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_harmonics_beyond_half_the_rate_are_left_out(drift):
    x = randn(50, 2, 5000)
    one = added_by(Powerline((0.5, 0.5), (50, 60), 9, drift, p=1), x, 200)  # 100 Hz is half the rate
    assert (share_of_energy(one, 200, 48.5, 51.5) + share_of_energy(one, 200, 58.5, 61.5)).min() > 0.999
    two = added_by(Powerline((0.5, 0.5), (50, 60), 9, drift, p=1), x, 230)  # 100 Hz, but not 120
    at_100, at_60 = share_of_energy(two, 230, 98, 102)[:, 0], share_of_energy(two, 230, 58.5, 61.5)[:, 0]
    assert (at_100 > 1e-4).any()
    assert ((at_60 > 0.999) | (at_60 < 1e-3)).all()
    torch.testing.assert_close(two.square().mean((1, 2)).sqrt(), 0.5 * signal_sd(x)[:, 0], rtol=0.02, atol=0)


def analytic(x):
    """The signal with its imaginary part, whose angle is the phase and whose size the amplitude."""
    spectrum = torch.fft.fft(x)
    spectrum[..., x.shape[-1] // 2 :] = 0
    return 2 * torch.fft.ifft(spectrum)


@quick
@given(st.floats(0.05, 0.5), seeds)
def test_the_mains_frequency_drifts_by_what_is_stated(drift, seed):
    x = randn(20, 1, 10_000, seed=seed)
    added = added_by(Powerline((1, 1), (50,), 1, drift, p=1), x, 500, seed)[:, 0]
    wave = analytic(added)[:, 500:-500]
    turn = wave[:, 1:] * wave[:, :-1].conj()
    frequency = turn.unfold(1, 50, 50).sum(-1).angle() * 500 / (2 * math.pi)
    away = (frequency - 50).abs().amax(1)
    assert away.max() < 1.05 * drift + 0.01
    assert away.max() > 0.5 * drift
    assert ((frequency - 50).mean(1).abs() < 0.5 * drift + 0.01).all(), "it returns"


@quick
@given(st.floats(0.1, 1), seeds)
def test_the_hums_amplitude_drifts_by_what_is_stated(drift, seed):
    x = randn(20, 1, 10_000, seed=seed)
    added = added_by(Powerline((1, 1), (50,), 1, 0.0, drift, p=1), x, 500, seed)[:, 0]
    size = analytic(added)[:, 500:-500].abs()
    depth = (size.amax(1) - size.amin(1)) / (size.amax(1) + size.amin(1))
    assert depth.max() < 1.05 * drift
    assert depth.max() > 0.5 * drift
    assert abs(added.square().mean().sqrt() / signal_sd(x).mean() - 1) < 0.12
    assert share_of_energy(size - size.mean(1, keepdim=True), 500, 0, 0.55).median() > 0.99  # slowly


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"harmonics": 0}, "harmonics"),
        ({"frequency_drift": 50.0}, "frequency_drift"),
        ({"frequency_drift": -0.1}, "frequency_drift"),
        ({"amplitude_drift": 1.1}, "amplitude_drift"),
        ({"frequencies": (50, math.inf)}, "frequencies"),
    ],
)
def test_settings_of_the_hum_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        Powerline(**settings)


def test_the_drifting_mains_must_fit_too():
    Powerline(frequency_drift=0.2, harmonics=3).check(100.5)
    with pytest.raises(ValueError, match=r"50\.2 Hz needs a sampling rate above 100\.4 Hz.*GaussianNoise"):
        Powerline(frequency_drift=0.2).check(100.4)

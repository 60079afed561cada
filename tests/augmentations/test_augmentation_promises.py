"""What each augmentation promises of its own."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations import (
    AmplitudeScale,
    BaselineWander,
    CropResize,
    GaussianNoise,
    Powerline,
    TimeMask,
    TimeWarp,
    interpolate,
    normal_noise,
    signal_sd,
    sinusoids,
)

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def ramp(batch, length):
    """A signal whose value is its time: read at positions, it gives the positions back."""
    return torch.arange(length, dtype=torch.float64).expand(batch, 1, -1)


def share_of_energy(x, fs, low, high):
    """The share of the energy of (..., T) between two frequencies in Hz, under a Hann window."""
    power = torch.fft.rfft(x * torch.hann_window(x.shape[-1], dtype=x.dtype)).abs().square()
    frequency = torch.fft.rfftfreq(x.shape[-1], 1 / fs)
    return power[..., (low <= frequency) & (frequency <= high)].sum(-1) / power.sum(-1)


# ---- noise


def test_signal_sd_is_the_standard_deviation_and_ignores_offsets():
    x = randn(5, 3, 2000) * torch.tensor([1.0, 2.0, 3.0])[:, None]
    exact = x.var(-1, correction=0).mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(signal_sd(x), exact)
    offset = x.float() + 200 * torch.tensor([1.0, -1.0, 0.0])[:, None]
    torch.testing.assert_close(signal_sd(offset), exact.float(), rtol=0.01, atol=0)
    assert signal_sd(torch.zeros(2, 3, 10)).eq(0).all()


def test_signal_sd_of_a_large_offset_and_of_a_constant():
    x = 0.2 * randn(6, 12, 2000)
    near = signal_sd((x + 300).float())
    torch.testing.assert_close(near, signal_sd(x).float(), rtol=0.001, atol=0)
    assert signal_sd(torch.full((2, 3, 1000), 1000.1)).eq(0).all()
    assert torch.equal(
        GaussianNoise(snr=(0, 0), p=1)(torch.full((2, 3, 1000), 1000.1), 100), torch.full((2, 3, 1000), 1000.1)
    )
    mixed = torch.cat([(x + 300).float(), x.float()])  # one sample's offset is nobody else's business
    assert torch.equal(signal_sd(mixed)[6:], signal_sd(x.float()))


def test_noise_first_drawn_in_inference_mode_still_trains():
    normal_noise_table = sys.modules["augmentations.noise"]._table
    normal_noise_table.cache_clear()
    x = torch.randn(20, 12, 1000)
    with torch.inference_mode():
        GaussianNoise(p=1)(x, 100)
    GaussianNoise(p=1)(x.requires_grad_(), 100).sum().backward()


@pytest.mark.parametrize("batch", [2, 128])  # fresh numbers; windows of a common stretch
def test_normal_noise_is_white_normal_and_independent(batch):
    noise = normal_noise(torch.empty(batch, 12, 1000), seeded())
    flat = noise.flatten(1)
    assert flat.mean(1).abs().max() < 0.05
    assert (flat.std(1) - 1).abs().max() < 0.04
    quantiles = torch.tensor([0.001, 0.1, 0.5, 0.9, 0.999])
    expected = torch.special.ndtri(quantiles)
    assert (torch.stack([torch.quantile(row, quantiles) for row in flat[:8]]) - expected).abs().max() < 0.7
    assert (torch.quantile(flat[:64].flatten(), quantiles) - expected).abs().max() < 0.1
    assert all((noise[..., k:] * noise[..., :-k]).mean().abs() < 0.02 for k in (1, 2, 7, 100))  # over time
    leads = torch.stack([torch.corrcoef(sample) for sample in noise[:20]]) - torch.eye(12)
    assert leads.abs().max() < 0.17  # 5.4 standard deviations at 1000 points
    samples = torch.corrcoef(flat) - torch.eye(batch)
    assert samples.abs().max() < 0.06
    assert (normal_noise(noise, seeded()) == noise).all()
    assert (normal_noise(noise, seeded(1)) != noise).any(-1).all()


def test_large_batches_do_share_numbers_but_samples_do_not_repeat_them():
    noise = normal_noise(torch.empty(512, 12, 1000), seeded()).flatten(1)
    assert len(noise.unique()) < 0.3 * noise.numel()  # the fast path is the one under test
    # A few values in 12,000 of float32 normal numbers coincide by chance.
    assert all(len(row.unique()) > 0.99 * len(row) for row in noise)


@quick
@given(st.floats(0.01, 3), st.floats(0.001, 1000), st.sampled_from([4, 100]), seeds)
def test_gaussian_noise_has_the_stated_sd(sd, unit, batch, seed):
    x = unit * randn(batch, 4, 1000, seed=seed) + 5 * unit
    added = GaussianNoise((sd, sd), p=1)(x, 100, seeded(seed)) - x
    torch.testing.assert_close(added.flatten(1).std(1), sd * signal_sd(x)[:, 0], rtol=0.07, atol=0)


@quick
@given(st.floats(-20, 60), st.floats(0.001, 1000), st.integers(1, 12), st.integers(20, 2000), seeds)
def test_gaussian_noise_has_the_stated_snr(snr, unit, leads, length, seed):
    x = unit * randn(3, leads, length, seed=seed) + 5 * unit
    added = GaussianNoise(snr=(snr, snr), p=1)(x, 100, seeded(seed)) - x
    power = x.var(-1, correction=0).mean(-1) / added.var(-1, correction=0).mean(-1)
    assert (10 * power.log10() - snr).abs().max() < 0.1


def test_gaussian_noise_covers_its_range():
    x = randn(300, 2, 500)
    ratio = (GaussianNoise((0.1, 0.5), p=1)(x, 100, seeded()) - x).flatten(1).std(1) / signal_sd(x)[:, 0]
    assert 0.09 < ratio.min() < 0.12
    assert 0.48 < ratio.max() < 0.55
    assert abs(ratio.mean() - 0.3) < 0.03


@quick
@given(st.integers(1, 5), st.integers(1, 3000), st.floats(10, 1000), seeds)
def test_sinusoids_match_the_formula(terms, length, fs, seed):
    amplitude, phase = randn(2, 3, terms, seed=seed)
    frequency = torch.rand(3, terms, dtype=torch.float64, generator=seeded(seed)) * fs / 2
    time = torch.arange(length, dtype=torch.float64) / fs
    waves = amplitude[..., None] * torch.sin(2 * math.pi * frequency[..., None] * time + phase[..., None])
    result = sinusoids(amplitude, frequency, phase, fs, length)
    assert result.shape == (3, length)
    torch.testing.assert_close(result, waves.sum(1), atol=1e-8, rtol=0)


@quick
@given(st.sampled_from([100.0, 250.0, 360.0]), st.floats(0.3, 2), st.integers(1, 6), seeds)
def test_wander_stays_below_its_cut_off(fs, cutoff, components, seed):
    x = randn(8, 3, 10_000, seed=seed).float()
    added = BaselineWander((0.5, 1), (0.05, cutoff), components, p=1)(x, fs, seeded(seed)) - x
    resolution = 2 * fs / x.shape[-1]  # a Hann window's half width
    assert share_of_energy(added, fs, 0, cutoff + resolution).min() > 0.99


def test_wander_of_the_default_is_below_half_a_hertz_and_uses_the_band():
    x = randn(64, 1, 10_000).float()
    added = BaselineWander(p=1)(x, 100, seeded()) - x
    assert share_of_energy(added, 100, 0, 0.52).min() > 0.99
    assert share_of_energy(added, 100, 0, 0.25).mean() < 0.8  # or a lower cut-off would pass as well


@pytest.mark.parametrize("unit", [0.001, 1, 1000])
def test_wander_has_the_stated_sd_over_leads(unit):
    x = unit * (randn(100, 12, 5000) + 3)
    for components, tolerance in ((1, 0.03), (4, 0.3)):  # several beat against each other
        added = BaselineWander((0.5, 0.5), (0.2, 0.5), components, p=1)(x, 100, seeded()) - x
        rms = added.square().mean((1, 2)).sqrt() / signal_sd(x)[:, 0]
        assert (rms - 0.5).abs().max() < tolerance
        assert abs(rms.square().mean().sqrt() - 0.5) < 0.02


def test_wander_has_one_source_and_a_gain_for_each_lead():
    x = randn(20, 12, 2000)
    added = BaselineWander(p=1)(x, 100, seeded()) - x
    first, second = torch.linalg.svdvals(added)[:, :2].unbind(1)
    assert (second / first).max() < 1e-6
    gain = added.square().mean(-1).sqrt()
    assert (gain.std(1) / gain.mean(1)).min() > 0.2  # leads differ ...
    sign = (added * added[:, :1]).sum(-1).sign()
    assert 0.3 < (sign[:, 1:] > 0).double().mean() < 0.7  # ... in direction too


@quick
@given(st.sampled_from([50.0, 60.0]), st.sampled_from([250.0, 360.0, 500.0]), st.floats(0.05, 2), seeds)
def test_powerline_is_at_its_frequency_with_the_stated_sd(mains, fs, sd, seed):
    x = randn(6, 12, 5000, seed=seed)
    added = Powerline((sd, sd), (mains,), p=1)(x, fs, seeded(seed)) - x
    assert share_of_energy(added, fs, mains - 0.3, mains + 0.3).min() > 0.999
    torch.testing.assert_close(added.square().mean((1, 2)).sqrt(), sd * signal_sd(x)[:, 0], rtol=0.01, atol=0)


def test_powerline_draws_frequency_and_phase_for_each_sample():
    x = torch.randn(200, 1, 1000, generator=seeded())
    added = Powerline(frequencies=(50, 60), p=1)(x, 500, seeded()) - x
    at_50 = share_of_energy(added, 500, 45, 55) > 0.99
    at_60 = share_of_energy(added, 500, 55, 65) > 0.99
    assert (at_50 ^ at_60).all()
    assert 0.35 < at_50.double().mean() < 0.65
    phase = torch.fft.rfft(added[at_50])[..., 100].angle()  # 50 Hz, of 2 s
    assert phase.cos().mean().abs() < 0.25
    assert phase.sin().mean().abs() < 0.25


# ---- amplitude


@quick
@given(st.floats(0.01, 1), st.floats(1, 100), st.booleans(), seeds)
def test_scale_stays_in_its_range(low, high, per_lead, seed):
    x = randn(50, 3, 40, seed=seed)
    ratio = AmplitudeScale((low, high), per_lead, p=1)(x, 100, seeded(seed)) / x
    factor = ratio.mean(-1)
    torch.testing.assert_close(ratio, factor[..., None].expand_as(ratio))
    assert factor.min() > low * (1 - 1e-6)
    assert factor.max() < high * (1 + 1e-6)
    one_for_all_leads = torch.allclose(factor, factor[:, :1].expand_as(factor))
    assert one_for_all_leads != (per_lead and high / low > 1.01)


def test_scale_is_log_uniform():
    factor = AmplitudeScale((0.25, 4), p=1)(torch.ones(4000, 1, 1), 100, seeded()).flatten()
    octaves = torch.histc(factor.log2(), bins=4, min=-2, max=2) / 4000
    assert (octaves - 0.25).abs().max() < 0.04


# ---- time


def test_interpolate_is_exact_at_whole_positions_and_on_lines():
    x = randn(3, 2, 50)
    whole = torch.randint(0, 50, (3, 70), generator=seeded())
    assert torch.equal(interpolate(x, whole.double()), x.gather(2, whole[:, None].expand(3, 2, 70)))
    between = torch.rand(3, 70, generator=seeded(), dtype=torch.float64) * 49
    torch.testing.assert_close(interpolate(ramp(3, 50), between)[:, 0], between)
    assert torch.equal(interpolate(x, torch.tensor([[-5.0, 99.0]]).expand(3, 2))[..., 0], x[..., 0])
    assert torch.equal(interpolate(x, torch.tensor([[-5.0, 99.0]]).expand(3, 2))[..., 1], x[..., -1])


@quick
@given(st.floats(0.01, 0.99), st.floats(0.5, 30), st.integers(2, 3000), seeds)
def test_warp_is_monotone_with_fixed_ends_and_bounded_rate(strength, period, length, seed):
    position = TimeWarp(strength, period, p=1)(ramp(5, length), 100, seeded(seed))[:, 0]
    assert position[:, 0].eq(0).all()
    assert position[:, -1].eq(length - 1).all()
    rounded = TimeWarp(strength, period, p=1)(ramp(200, length).float(), 100, seeded(seed))[..., -1]
    assert rounded.eq(length - 1).all(), "in float32 the end is fixed to the last bit as well"
    rate = position.diff()
    assert rate.min() > 0
    assert (rate - 1).abs().max() <= strength + 1e-6


def test_warp_uses_its_strength_and_is_smooth():
    rate = TimeWarp(0.3, 5, p=1)(ramp(500, 1000), 100, seeded())[:, 0].diff()
    largest = (rate - 1).abs().amax(1)
    assert largest.max() > 0.25
    assert largest.median() > 0.05
    # The fastest term turns in 5 s: the pace changes by at most 2 pi / 5 s of 0.3 in a second.
    assert rate.diff().abs().max() * 100 < 0.3 * 2 * math.pi / 5 * 1.01


def test_warp_means_the_same_at_any_sampling_rate():
    slow, fast = (TimeWarp(p=1)(ramp(4, 10 * fs + 1), fs, seeded(2)) / fs for fs in (100, 500))
    torch.testing.assert_close(slow, fast[..., ::5], atol=0.002, rtol=0)


@quick
@given(st.floats(0.05, 1), st.floats(0.05, 1), st.integers(2, 3000), seeds)
def test_crop_is_a_stretched_part_of_the_stated_share(one, two, length, seed):
    low, high = sorted((one, two))
    position = CropResize((low, high), p=1)(ramp(20, length), 100, seeded(seed))[:, 0]
    share = (position[:, -1] - position[:, 0]) / (length - 1)
    assert share.min() > low - 1e-6
    assert share.max() < high + 1e-6
    assert position.min() >= 0
    assert position.max() <= length - 1
    torch.testing.assert_close(position.diff(), share[:, None].expand(-1, length - 1))


def test_crop_reaches_both_ends_and_its_whole_range():
    position = CropResize((0.5, 1), p=1)(ramp(1000, 1001), 100, seeded())[:, 0] / 1000
    share = position[:, -1] - position[:, 0]
    assert share.min() < 0.52
    assert share.max() > 0.98
    assert (position[:, 0] > 0.4).any()
    assert (position[:, -1] < 0.6).any()


@quick
@given(st.floats(0, 1), st.integers(1, 6), st.integers(1, 2000), st.integers(1, 4), seeds)
def test_mask_covers_exactly_the_stated_share(share, spans, length, leads, seed):
    x = randn(20, leads, length, seed=seed).abs() + 0.1
    y = TimeMask((share, share), spans, p=1)(x, 100, seeded(seed))
    hidden = y == 0
    assert (hidden.sum(-1) - share * length).abs().max() <= 0.5 + 1e-3
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden)), "leads are masked together"
    assert torch.equal(y[~hidden], x[~hidden]), "the rest was changed"
    starts = torch.nn.functional.pad(hidden[:, 0].int(), (1, 0)).diff().eq(1).sum(1)
    assert starts.max() <= spans


def test_mask_draws_its_share_and_its_places_evenly():
    x = torch.ones(4000, 1, 200)
    one = TimeMask((0.1, 0.5), p=1)(x, 100, seeded())[:, 0] == 0
    covered = one.double().mean(1)
    assert 0.09 < covered.min() < 0.12
    assert 0.48 < covered.max() < 0.51
    first, last = one[:, :100].double().mean(), one[:, 100:].double().mean()
    assert abs(first - last) < 0.02
    many = TimeMask((0.3, 0.3), spans=4, p=1)(x, 100, seeded())[:, 0] == 0
    runs = torch.nn.functional.pad(many.int(), (1, 0)).diff().eq(1).sum(1)
    assert runs.double().mean() > 3.5  # now and then two touch

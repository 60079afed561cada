"""What changes of amplitude promise: polarity, offset, gain over time, and the converter's rails and steps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations.amplitude import GainModulation, Offset, Polarity, modulate
from augmentations.converter import Clip, Quantise, clip, quantise, signal_peak
from augmentations.noise import signal_sd

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def gains(depth, frequency, per_lead, fs=50.0, batch=40, seconds=60, seed=0):
    """The gain over time that GainModulation gives to each lead, (B, C, T)."""
    ones = torch.ones(batch, 3, int(seconds * fs), dtype=torch.float64)
    return GainModulation(depth, frequency, per_lead, p=1)(ones, fs, seeded(seed))


# ---- polarity


def test_polarity_turns_the_whole_record_over():
    x = randn(20, 3, 50)
    assert torch.equal(Polarity(p=1)(x, 100), -x)


def test_polarity_per_lead_turns_each_lead_over_half_the_time():
    x = randn(4000, 3, 2)
    y = Polarity(per_lead=True, p=1)(x, 100, seeded())
    turned = (y == -x).all(-1)
    assert (turned | (y == x).all(-1)).all()
    assert (turned.double().mean(0) - 0.5).abs().max() < 0.04
    assert torch.corrcoef(turned.T.double()).fill_diagonal_(0).abs().max() < 0.06, "leads are turned over one by one"


# ---- offset


@quick
@given(st.floats(-3, 3), st.just(0.0) | st.floats(0.001, 3), st.floats(0.001, 1000), st.booleans(), seeds)
def test_offset_is_constant_and_in_its_range(low, width, unit, per_lead, seed):
    x = unit * (randn(30, 4, 200, seed=seed) + 2)
    added = (Offset((low, low + width), per_lead, p=1)(x, 100, seeded(seed)) - x) / signal_sd(x)[..., None]
    constant = added.mean(-1)
    torch.testing.assert_close(added, constant[..., None].expand_as(added), atol=1e-8, rtol=0)
    assert constant.min() > low - 1e-6
    assert constant.max() < low + width + 1e-6
    same = (constant - constant[:, :1]).abs().max() < 1e-8
    assert same == (not per_lead or width == 0)


def test_offset_covers_its_range_on_both_sides():
    x = randn(2000, 2, 50)
    sd = (Offset((-1, 2), p=1)(x, 100, seeded()) - x).mean(-1) / signal_sd(x)
    assert (torch.histc(sd, bins=3, min=-1, max=2) / 4000 - 1 / 3).abs().max() < 0.04


# ---- gain


@quick
@given(st.floats(0, 1), st.floats(0.1, 0.5), st.booleans(), seeds)
def test_gain_is_a_sine_of_the_stated_depth_about_one(depth, frequency, per_lead, seed):
    gain = gains((depth, depth), (frequency, frequency), per_lead, seed=seed)
    assert gain.min() >= 0
    swing = (gain - 1).abs().amax(-1)  # a minute has many periods
    assert swing.max() < depth + 1e-9
    if not per_lead:
        torch.testing.assert_close(swing, torch.full_like(swing, depth), rtol=2e-3, atol=1e-9)
        assert torch.equal(gain, gain[:, :1].expand_as(gain))
    step = 2 * math.pi * frequency / 50  # a sine, and only a sine of this frequency, solves this:
    waves = gain - 1
    torch.testing.assert_close(waves[..., 2:] + waves[..., :-2], 2 * math.cos(step) * waves[..., 1:-1])


def test_gain_has_frequencies_and_phases_of_its_range():
    wave = gains((0.2, 0.2), (0.1, 0.5), False, batch=500)[:, 0] - 1
    frequency = (wave[:, 1:].sign() != wave[:, :-1].sign()).sum(1) / 2 / 60
    assert 0.08 < frequency.min() < 0.13
    assert 0.47 < frequency.max() < 0.52
    assert wave[:, 0].mean().abs() < 0.03, "every phase is as likely"


def test_gain_per_lead_follows_one_sine_with_a_factor_for_each_lead():
    wave = gains((0.5, 0.5), (0.2, 0.2), True) - 1
    assert torch.linalg.matrix_rank(wave, rtol=1e-6).eq(1).all()
    factor = wave.abs().amax(-1) / 0.5
    assert factor.min() < 0.1
    assert factor.max() > 0.9
    signs = (wave[:, 0] * wave[:, 1]).sum(-1).sign()
    assert 0.2 < (signs > 0).double().mean() < 0.8, "some leads swell while others fade"


def test_gain_is_never_negative_in_any_precision():
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for per_lead in (False, True):
            gain = GainModulation((1, 1), (0.1, 3), per_lead, p=1)(torch.ones(50, 2, 1000).to(dtype), 50, seeded())
            assert gain.min() >= 0


def test_modulate_is_the_formula():
    x, source, depth = randn(3, 2, 40), randn(3, 40), randn(3, 2)
    torch.testing.assert_close(modulate(x, source, depth), x * (1 + depth[..., None] * source[:, None]))
    torch.testing.assert_close(modulate(x, source, depth[:, :1]), x * (1 + depth[:, :1, None] * source[:, None]))


def test_gain_is_refused_at_a_rate_too_low():
    with pytest.raises(ValueError, match=r"2 Hz needs a sampling rate above 4 Hz.*lower its `frequency`"):
        GainModulation(frequency=(0.1, 2)).check(4)
    GainModulation(frequency=(0.1, 2)).check(4.1)


# ---- the converter


@quick
@given(st.integers(1, 60), st.floats(1e-3, 1e3), seeds)
def test_peak_is_the_largest_absolute_value(length, unit, seed):
    x = unit * randn(9, 3, length, seed=seed)
    assert torch.equal(signal_peak(x), x.abs().amax((1, 2))[:, None])
    assert torch.equal(signal_peak(x.bfloat16()), x.bfloat16().abs().amax((1, 2))[:, None].float())


@quick
@given(st.floats(0, 1), st.floats(0.001, 1000), seeds)
def test_clip_cuts_at_its_share_of_the_peak_and_nothing_else(level, unit, seed):
    x = unit * (randn(20, 3, 100, seed=seed) + 0.2)
    y = Clip((level, level), p=1)(x, 100, seeded(seed))
    rail = level * x.abs().amax((1, 2), keepdim=True)
    torch.testing.assert_close(y, torch.maximum(torch.minimum(x, rail), -rail))
    within = x.abs() < rail * (1 - 1e-12)
    assert torch.equal(y[within], x[within])


def test_clip_draws_its_level_for_each_record_and_has_symmetric_rails():
    x = randn(1000, 2, 400)
    y = Clip((0.2, 0.6), p=1)(x, 100, seeded())
    level = y.amax((1, 2)) / x.abs().amax((1, 2))
    torch.testing.assert_close(y.amin((1, 2)), -y.amax((1, 2)))
    assert 0.2 <= level.min() < 0.21
    assert 0.59 < level.max() <= 0.6
    assert abs(level.mean() - 0.4) < 0.02
    assert torch.equal(clip(x, signal_peak(x)), x)


@quick
@given(st.integers(2, 16), st.floats(0.001, 1000), seeds)
def test_quantise_rounds_to_the_stated_steps(bits, unit, seed):
    x = unit * randn(20, 3, 200, seed=seed)
    y = Quantise((bits, bits), p=1)(x, 100, seeded(seed))
    most = 2 ** (bits - 1) - 1
    step = x.abs().amax((1, 2), keepdim=True) / most
    code = y / step
    assert (code - code.round()).abs().max() < 1e-9
    assert code.abs().max() < most + 1e-9
    error = (y - x).abs() / step
    assert error.max() <= 0.5 + 1e-9
    assert error.max() > 0.4, "steps of this size, not finer ones"
    assert abs((y - x).div(step).mean()) < 0.06, "rounded, not cut off"


def test_quantise_draws_each_number_of_bits_and_no_other():
    x = torch.linspace(-1, 1, 3001, dtype=torch.float64).expand(400, 1, -1)
    levels = [len(row.unique()) for row in Quantise((2, 5), p=1)(x, 100, seeded())]
    assert set(levels) == {3, 7, 15, 31}
    assert all(60 < levels.count(n) < 140 for n in set(levels))


def test_quantise_leaves_flat_lines_alone_and_half_precision_close():
    for value in (0.0, 1e-40, 5.0, -3e30):
        flat = torch.full((4, 2, 30), value)
        torch.testing.assert_close(Quantise(p=1)(flat, 100), flat, atol=1e-37, rtol=1e-6)
    x = randn(4, 2, 300).half()
    step = torch.full((4, 1), 0.1)
    assert (quantise(x, step).double() - x.double()).abs().max() < 0.05 + 0.002


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Offset(offset=(1, -1)), "offset is a range"),
        (lambda: Offset(offset=(0, float("inf"))), "offset is a range"),
        (lambda: GainModulation(depth=(0, 1.1)), "depth is a range .* <= 1"),
        (lambda: GainModulation(depth=(-0.1, 0.1)), "depth is a range"),
        (lambda: GainModulation(frequency=(-0.1, 0.1)), "frequency is a range"),
        (lambda: Clip(level=(0.5, 1.1)), "level is a range .* <= 1"),
        (lambda: Clip(level=(-0.1, 0.5)), "level is a range"),
        (lambda: Quantise(bits=(1, 4)), "bits is a range .* 2 <= low"),
        (lambda: Quantise(bits=(4, 17)), "bits is a range .* <= 16"),
        (lambda: Quantise(bits=(4.5, 6)), "whole numbers"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

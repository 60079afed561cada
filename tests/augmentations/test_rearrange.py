"""Shifts, permutations, reversal, crops and rates: where each sample of the result comes from."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations.rearrange import (
    CircularShift,
    RandomCrop,
    RateJitter,
    SegmentPermutation,
    TimeReversal,
    circular_shift,
    permute_segments,
)

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(batch, length, leads=1):
    """A signal whose value is its time, plus 100,000 for each lead."""
    lead = 100_000.0 * torch.arange(leads, dtype=torch.float64)[:, None]
    return (torch.arange(length, dtype=torch.float64) + lead).expand(batch, -1, -1).contiguous()


@pytest.mark.parametrize("gradient", [False, True])  # True: by gather, as on a GPU
@quick
@given(st.integers(1, 80), st.integers(1, 12), st.sampled_from([1, 2, 7, 500, 3000]), seeds)
def test_circular_shift_is_a_roll(gradient, batch, leads, length, seed):
    x = torch.randn(batch, leads, length, generator=seeded(seed))
    shift = torch.randint(-3 * length, 3 * length + 1, (batch,), generator=seeded(seed))
    rolled = torch.stack([row.roll(int(by), -1) for row, by in zip(x, shift, strict=True)])
    assert torch.equal(circular_shift(x.requires_grad_(gradient), shift), rolled)
    across = x.detach().mT.contiguous().mT  # not contiguous
    assert torch.equal(circular_shift(across, shift), rolled)


def test_circular_shift_of_a_batch_in_many_slices():
    x = torch.randn(150, 12, 1000, generator=seeded())
    shift = torch.randint(0, 1000, (150,), generator=seeded())
    assert torch.equal(circular_shift(x, shift), circular_shift(x.clone().requires_grad_(), shift))


def test_shift_is_in_seconds_to_later_and_all_leads_move_together():
    x = ramp(500, 1000, leads=3)
    y = CircularShift((1.0, 2.0), p=1)(x, 100, seeded())
    first = y[:, 0, 0]  # what is first now was `shift` from the end
    assert (first >= 800).all() and (first <= 900).all()
    assert first.min() < 805 and first.max() > 895
    assert torch.equal(y - y[:, :1], x - x[:, :1])
    whole = CircularShift(p=1)(ramp(3000, 1000), 100, seeded())[:, 0, 0]
    assert (torch.histc(whole, 10) / 3000 - 0.1).abs().max() < 0.03, "the default is anywhere in 10 s"


@quick
@given(st.integers(2, 12), st.sampled_from(["equal", "random"]), st.sampled_from([1, 5, 120, 121, 997]), seeds)
def test_permutation_keeps_every_sample_once_in_whole_segments(segments, lengths, length, seed):
    x = ramp(20, length, leads=2)
    y = SegmentPermutation(segments, lengths, p=1)(x, 100, seeded(seed))
    assert torch.equal(y[:, 0].sort(1).values, x[:, 0])
    assert torch.equal(y - y[:, :1], x - x[:, :1]), "leads are permuted alike"
    cuts = (y[:, 0].diff(dim=1) != 1).sum(1)
    assert cuts.max() <= segments - 1
    if lengths == "equal" and length >= 120:
        edges = torch.arange(segments) * length // segments
        starts = y[:, 0].gather(1, (y[:, 0].diff(dim=1, prepend=y[:, 0, :1] - 9) != 1).double().topk(1).indices)
        assert torch.isin(starts.long(), edges).all()


def test_permute_segments_puts_them_in_the_order_that_is_asked_for():
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    cuts = torch.tensor([[2, 5], [0, 4]])  # lengths 2, 3, 1 and 0, 4, 2
    y = permute_segments(ramp(2, 6), order, cuts)[:, 0]
    assert y.tolist() == [[5, 0, 1, 2, 3, 4], [4, 5, 0, 1, 2, 3]]


@pytest.mark.parametrize("lengths", ["equal", "random"])
@pytest.mark.parametrize("length", [99, 100])
def test_permutation_draws_orders_evenly(lengths, length):
    y = SegmentPermutation(3, lengths, p=1)(ramp(3000, length), 100, seeded())[:, 0]
    first_stays = (y[:, 0] == 0).double().mean()
    assert abs(first_stays - 1 / 3) < 0.04
    last_first = (y[:, -1] == 0).double().mean()
    assert last_first < 0.05  # the last sample is the first only if its segment has length 1


def test_reversal():
    x = torch.randn(3, 2, 50, generator=seeded())
    assert torch.equal(TimeReversal(p=1)(x, 100)[..., 7], x[..., -8])


@quick
@given(st.floats(0.001, 12), st.sampled_from([1, 3, 500, 1000]), st.integers(1, 3), seeds)
def test_random_crop_is_a_window_of_the_stated_duration(duration, length, leads, seed):
    x = ramp(30, length, leads)
    y = RandomCrop(duration)(x, 100, seeded(seed))
    assert y.shape == (30, leads, min(max(1, round(duration * 100)), length))
    assert y.is_contiguous()
    assert torch.equal(y - y[:, :1, :1], x[..., : y.shape[-1]] - x[:, :1, :1])
    assert y[:, 0].min() >= 0 and y[:, 0].max() <= length - 1


def test_random_crop_reaches_both_ends_evenly_and_keeps_half_precision():
    start = RandomCrop(2.5)(ramp(4000, 260), 100, seeded())[:, 0, 0]
    assert torch.allclose(torch.bincount(start.long(), minlength=11) / 4000, torch.full((11,), 1 / 11), atol=0.025)
    x = torch.randn(2, 3, 300, generator=seeded()).half()
    assert RandomCrop(2.5)(x, 100).dtype == torch.float16


@quick
@given(st.floats(0.5, 2), st.integers(2, 3000), seeds)
def test_rate_is_the_factor_and_the_ends_are_mirrored(rate, length, seed):
    last = length - 1
    position = RateJitter((rate, rate), p=1)(ramp(20, length), 100, seeded(seed))[:, 0]
    assert position.min() >= 0 and position.max() <= last
    step = position.diff(dim=1).abs()
    turning = (step - rate).abs() > 1e-6
    assert (step <= rate + 1e-6).all()
    assert turning.sum(1).max() <= 2  # at the two ends, where the way back begins within a step
    if rate > 1 + 2 / last:
        assert (position.max(1).values > last - rate).all() and (position.min(1).values < rate).all()


def test_rate_changes_a_frequency_by_its_factor():
    time = torch.arange(4000, dtype=torch.float64) / 400
    x = torch.sin(2 * math.pi * 4 * time).expand(50, 1, -1)
    y = RateJitter((1.5, 1.5), p=1)(x, 400, seeded())
    power = torch.fft.rfft(y).abs().square().mean((0, 1))
    assert torch.fft.rfftfreq(4000, 1 / 400)[power.argmax()] == pytest.approx(6, abs=0.1)
    slow = RateJitter((0.5, 0.5), p=1)(ramp(1000, 1001), 100, seeded())[:, 0]
    assert slow[:, 0].min() < 10 and slow[:, 0].max() > 490  # a random half of the record


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CircularShift((2, 1)), "shift"),
        (lambda: SegmentPermutation(1), "at least 2"),
        (lambda: SegmentPermutation(lengths="even"), "lengths"),
        (lambda: RandomCrop(0), "duration"),
        (lambda: RateJitter((0.4, 1)), "rate"),
        (lambda: RateJitter((1, 2.1)), "rate"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

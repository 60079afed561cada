"""Views of single leads: which leads they show, of whose samples, and that each is augmented by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations import GaussianNoise, LeadMixing, LeadViews, Offset, from_dict, to_dict


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(samples, leads, length=5):
    """Lead c of sample b is 100 b + c all along: a view's value says what it shows."""
    return (100.0 * torch.arange(samples)[:, None] + torch.arange(leads))[..., None].repeat(1, 1, length)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(2, 12), st.integers(1, 6), st.integers(0, 2**31))
def test_each_view_shows_another_lead_of_its_own_sample(samples, leads, n, seed):
    x = numbered(samples, leads)
    before = x.clone()
    views = LeadViews([], n=n)(x, 100, seeded(seed))
    assert [view.shape for view in views] == [(samples, 1, 5)] * n
    shown = torch.stack([view[:, 0, 0] for view in views], dim=1)
    assert torch.equal(shown // 100, torch.arange(samples)[:, None].expand(-1, n).float())
    assert all(len(set(row)) == min(n, leads) for row in shown.tolist())
    again = LeadViews([], n=n)(x, 100, seeded(seed))
    assert all(torch.equal(a, b) for a, b in zip(views, again, strict=True))
    for view in views:
        view.zero_()
    assert torch.equal(x, before), "what is done to a view would reach the data"


def test_every_pair_of_leads_is_as_likely_as_any_other():
    one, two = (view[:, 0, 0].long() % 100 for view in LeadViews([])(numbered(12_000, 3), 100, seeded()))
    pairs = torch.bincount(3 * one + two, minlength=9).view(3, 3)
    assert pairs.diagonal().sum() == 0
    assert ((pairs + torch.eye(3).long() * 2000 - 2000).abs() < 200).all()


def test_a_view_is_augmented_by_itself():
    x = torch.randn(200, 2, 50, generator=seeded())
    plain = LeadViews([])(x, 100, seeded())
    mixed = LeadViews([LeadMixing((1.0, 1.0), p=1)])(x, 100, seeded())
    assert all(torch.equal(a, b) for a, b in zip(plain, mixed, strict=True)), "there is no other lead to mix in"
    noisy = LeadViews([GaussianNoise(p=1)])(x, 100, seeded())
    noises = [(a - b).flatten() for a, b in zip(noisy, plain, strict=True)]
    assert all(noise.std() > 0.01 for noise in noises)
    assert torch.corrcoef(torch.stack(noises))[0, 1].abs() < 0.05


def test_partners_and_kinds_take_turns():
    x, partner = torch.zeros(3, 2, 4), torch.full((3, 2, 4), 7.0)
    views = LeadViews([Offset((0, 0), p=1)], n=4, others=[])([x, partner], 100)
    assert [view.max().item() for view in views] == [0, 7, 0, 7]


def test_one_lead_is_refused():
    with pytest.raises(ValueError, match="two leads or more"):
        LeadViews([])(torch.zeros(2, 1, 8), 100)
    with pytest.raises(ValueError, match="LeadViews: 2 views are made of 1 to 2 tensors"):
        LeadViews([])([], 100)


def test_it_is_kept_in_a_file_and_printed_by_its_own_name():
    views = LeadViews([GaussianNoise()], n=3)
    again = from_dict(to_dict(views))
    assert type(again) is LeadViews
    assert repr(again) == repr(views)
    assert repr(views).startswith("LeadViews([")

"""Views of different lengths: crops of one sample each, the long ones first."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from augmentations import GaussianNoise, MultiCrop, Polarity, from_dict, to_dict


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def counted(samples, length):
    """Sample b at time t is 10,000 b + t, in two leads."""
    return (10_000.0 * torch.arange(samples)[:, None, None] + torch.arange(length)).repeat(1, 2, 1)


@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 4), st.integers(0, 2**31))
def test_each_view_is_a_stretch_of_its_own_sample(samples, large, small, seed):
    x = counted(samples, 300)
    before = x.clone()
    crops = MultiCrop([], global_crops=large, global_duration=2.0, local_crops=small, local_duration=0.5)
    views = crops(x, 100, seeded(seed))
    assert len(views) == crops.n
    assert [view.shape for view in views] == [(samples, 2, 200)] * large + [(samples, 2, 50)] * small
    for view in views:
        assert (view[..., 0] // 10_000 == torch.arange(samples)[:, None]).all() and (view.diff() == 1).all()
        view.zero_()
    assert torch.equal(x, before), "what is done to a view would reach the data"


def test_crops_begin_anywhere_and_are_augmented_by_themselves():
    long, _, short = MultiCrop([], 2, 2.0, 1, 0.5)(counted(5000, 300)[:, :1], 100, seeded())
    assert {*(long[:, 0, 0] % 10_000).int().tolist()} == {*range(101)}
    assert {*(short[:, 0, 0] % 10_000).int().tolist()} == {*range(251)}
    views = MultiCrop([GaussianNoise(p=1)], 2, 2.0, 2, 2.0 - 1e-2)(torch.ones(9, 1, 200).cumsum(-1), 100, seeded())
    assert len({round(float(view.std()), 5) for view in views}) == 4


def test_partners_and_kinds_take_turns():
    x, partner = torch.zeros(3, 2, 40), torch.full((3, 2, 40), 7.0)
    crops = MultiCrop([Polarity(p=1)], 2, 0.3, 2, 0.1, others=[])
    assert [float(view.sum().sign()) for view in crops(partner, 100)] == [-1, 1, -1, 1]
    assert [float(view.max()) for view in MultiCrop([], 2, 0.3, 2, 0.1)([x, partner], 100)] == [0, 7, 0, 7]


def test_what_cannot_be_cut_is_refused_by_name():
    crops = MultiCrop([], global_duration=5.0)
    with pytest.raises(ValueError, match=r"MultiCrop: a crop of 5 s does not fit in 4.99 s: lower `global_duration`"):
        crops(torch.zeros(1, 1, 499), 100)
    assert crops(torch.zeros(1, 1, 500), 100)[0].shape[-1] == 500
    with pytest.raises(ValueError, match="less than a sample"):
        MultiCrop([], local_duration=0.001).check(100)
    for wrong in ({"global_crops": 0}, {"local_crops": -1}, {"global_duration": 0}, {"local_duration": 5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MultiCrop([], **wrong)


def test_it_is_kept_in_a_file_and_printed_by_its_own_settings():
    crops = MultiCrop([GaussianNoise()], global_crops=1, local_crops=3, local_duration=1.5)
    again = from_dict(to_dict(crops))
    assert type(again) is MultiCrop
    assert repr(again) == repr(crops)
    assert "global_crops=1, global_duration=5.0, local_crops=3, local_duration=1.5" in repr(crops)

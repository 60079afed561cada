"""ResNet1d: any leads, any length, the sizes its docstring names."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg.encoders import ResNet1d


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 1500), st.integers(1, 3), st.integers(1, 3))
def test_any_leads_and_length(leads: int, length: int, batch: int, depth: int) -> None:
    encoder = ResNet1d(leads, width=4, depth=depth, stages=3).eval()
    z = encoder(torch.randn(batch, leads, length))
    assert z.shape == (batch, encoder.dim)
    assert z.isfinite().all()


@pytest.mark.parametrize(("width", "depth", "millions"), [(8, 1, 0.06), (32, 1, 0.96), (64, 2, 8.7)])
def test_sizes_are_as_documented(width: int, depth: int, millions: float) -> None:
    count = sum(p.numel() for p in ResNet1d(1, width, depth).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.05)


def test_in_evaluation_mode_samples_do_not_touch_each_other() -> None:
    encoder = ResNet1d(2, width=4).eval()
    x = torch.randn(5, 2, 300)
    torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]))


@pytest.mark.parametrize("wrong", [{"width": 0}, {"kernel": 4}, {"in_channels": 0}, {"stages": 0}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ResNet1d(**wrong)

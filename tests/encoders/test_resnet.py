"""ResNet1d: any leads, any length, the sizes its docstring names."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg.encoders import ResNet1d


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 12),
    st.integers(1, 1500),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["last", "stages"]),
    st.integers(0, 200),
)
def test_any_leads_and_length(
    leads: int, length: int, batch: int, depth: int, pooling: Literal["last", "stages"], stretch: int
) -> None:
    encoder = ResNet1d(leads, width=4, depth=depth, stages=3, pooling=pooling, stretch=stretch).eval()
    z = encoder(torch.randn(batch, leads, length))
    assert z.shape == (batch, encoder.dim)
    assert z.isfinite().all()


@pytest.mark.parametrize(("width", "depth", "millions"), [(8, 1, 0.06), (32, 1, 0.96), (64, 2, 8.7)])
def test_sizes_are_as_documented(width: int, depth: int, millions: float) -> None:
    count = sum(p.numel() for p in ResNet1d(1, width, depth).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.05)


@pytest.mark.parametrize("depth", [1, 2])
def test_an_embedding_of_all_stages_ends_with_that_of_the_last(depth: int) -> None:
    last = ResNet1d(2, width=4, depth=depth, stages=3).eval()
    stages = ResNet1d(2, width=4, depth=depth, stages=3, pooling="stages").eval()
    stages.load_state_dict(last.state_dict())
    x = torch.randn(3, 2, 250)
    assert (last.dim, stages.dim) == (2 * 16, 2 * (4 + 8 + 16))
    assert torch.equal(stages(x)[:, -last.dim :], last(x))


@pytest.mark.parametrize("stage", [1, 2])
def test_an_embedding_of_all_stages_holds_that_of_every_shorter_network(stage: int) -> None:
    whole = ResNet1d(2, width=4, depth=2, stages=3, pooling="stages").eval()
    short = ResNet1d(2, width=4, depth=2, stages=stage).eval()
    short.load_state_dict({name: whole.state_dict()[name] for name in short.state_dict()})
    x = torch.randn(3, 2, 250)
    before = sum(2 * 4 * 2**i for i in range(stage - 1))
    torch.testing.assert_close(whole(x)[:, before : before + short.dim], short(x))


@torch.inference_mode()
def test_maxima_of_stretches_do_not_grow_with_the_length_of_the_window() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, 4000)
    single, averaged = ResNet1d(2, width=4).eval(), ResNet1d(2, width=4, stretch=100).eval()
    averaged.load_state_dict(single.state_dict())

    def growth(encoder: ResNet1d) -> float:
        long, short = encoder(x)[:, encoder.dim // 2 :], encoder(x[..., :500])[:, encoder.dim // 2 :]
        return float((long - short).mean() / short.mean())

    assert growth(single) > 0.1
    assert abs(growth(averaged)) < 0.03


def test_a_window_no_longer_than_a_stretch_has_a_single_maximum() -> None:
    single, averaged = ResNet1d(2, width=4).eval(), ResNet1d(2, width=4, stretch=400).eval()
    averaged.load_state_dict(single.state_dict())
    x = torch.randn(3, 2, 400)
    assert torch.equal(averaged(x), single(x))


def test_in_evaluation_mode_samples_do_not_touch_each_other() -> None:
    encoder = ResNet1d(2, width=4).eval()
    x = torch.randn(5, 2, 300)
    torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]))


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"kernel": 4}, {"in_channels": 0}, {"stages": 0}, {"pooling": "first"}, {"stretch": -1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ResNet1d(**wrong)


@torch.inference_mode()
def test_leads_apart_are_averaged_whatever_their_number_and_order() -> None:
    encoder = ResNet1d(3, width=4, stages=2, leads="apart").eval()
    single = ResNet1d(1, width=4, stages=2).eval()
    single.load_state_dict(encoder.state_dict())
    x = torch.randn(5, 3, 200)
    z = encoder(x)
    torch.testing.assert_close(z, torch.stack([single(x[:, [i]]) for i in range(3)]).mean(0))
    torch.testing.assert_close(z, encoder(x[:, [2, 0, 1]]))
    torch.testing.assert_close(encoder(x[:, :1]), single(x[:, :1]))
    assert not torch.allclose(z, ResNet1d(3, width=4, stages=2).eval()(x))


def test_unknown_treatment_of_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="'together', 'apart' or 'beside'"):
        ResNet1d(2, leads="both")  # type: ignore[arg-type]

"""Several encoders as one: what each gives alone, one after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ssl_ecg.encoders import ConvGRU, MobileNet1d, SideBySide

GRU: dict[str, Any] = {"class_path": "ConvGRU", "init_args": {"width": 8, "context": 12}}
NET: dict[str, Any] = {"class_path": "ssl_ecg.encoders.MobileNet1d", "init_args": {"width": 4, "stages": 3}}


def filled(encoder: SideBySide) -> SideBySide:
    """With batch statistics other than the initial ones."""
    encoder(torch.randn(16, encoder.in_channels, 300, generator=torch.Generator().manual_seed(0)))
    return encoder.eval()


@pytest.mark.parametrize("settings", [{}, {"leads": "apart"}, {"leads": "beside"}, {"pooling": "stages"}])
@torch.inference_mode()
def test_an_embedding_is_theirs_one_after_the_other(settings: dict[str, Any]) -> None:
    encoder = filled(SideBySide(2, [GRU, NET], **settings))
    gru, net = encoder.encoders
    assert isinstance(gru, ConvGRU) and isinstance(net, MobileNet1d)
    x = torch.randn(3, 2, 417)
    z = encoder(x)
    assert z.shape == (3, encoder.dim)
    if settings.get("leads") != "beside":
        assert encoder.dim == gru.dim + net.dim
        torch.testing.assert_close(z, torch.cat([gru(x), net(x)], dim=1))
    else:  # lead by lead
        alone = torch.cat([each(x).unflatten(1, (2, -1)) for each in (gru, net)], dim=2).flatten(1)
        torch.testing.assert_close(z, alone)


@pytest.mark.parametrize("amplitudes", [True, "stretches"])
@pytest.mark.parametrize("leads", ["together", "apart", "beside"])
@torch.inference_mode()
def test_amplitudes_stand_once(leads: str, amplitudes: Any) -> None:
    encoder = filled(SideBySide(2, [GRU, NET, GRU], leads=leads, amplitudes=amplitudes))
    x = torch.randn(3, 2, 400)
    z, first = encoder(x), encoder.encoders[0](x)
    assert z.shape == (3, encoder.dim)
    once = (3 if amplitudes is True else 24) * (1 if leads == "apart" else 2)
    torch.testing.assert_close(z[:, -once:], first[:, -once:])
    assert encoder.dim == sum(each.dim for each in encoder.encoders) - 2 * once


@torch.inference_mode()
def test_tokens_are_all_encoders_at_the_lowest_rate() -> None:
    encoder = filled(SideBySide(1, [GRU, NET]))  # tokens of 8 and 16 samples
    gru, net = encoder.encoders
    assert isinstance(gru, ConvGRU) and isinstance(net, MobileNet1d)
    assert (gru.stride, net.stride, encoder.stride) == (8, 16, 16)
    for length in (5, 400, 401, 409):
        x = torch.randn(2, 1, length)
        tokens, fine, coarse = encoder.tokens(x), gru.tokens(x), net.tokens(x)
        assert torch.equal(tokens[:, 24:], coarse)
        for j in range(coarse.shape[-1]):
            mine = fine[..., 2 * j : 2 * j + 2]
            torch.testing.assert_close(tokens[:, :12, j], mine.mean(-1))
            assert torch.equal(tokens[:, 12:24, j], mine.amax(-1))


@torch.inference_mode()
def test_details_are_all_maps_the_stages_last() -> None:
    encoder = filled(SideBySide(1, [GRU, NET]))
    x = torch.randn(2, 1, 400)
    details, stages = encoder.details(x), encoder.features(x)
    assert len(details) == len(stages) + 2  # the first convolutions of ConvGRU
    for a, b in zip(details[2:], stages, strict=True):
        assert torch.equal(a, b)


def test_what_cannot_stand_side_by_side_is_refused() -> None:
    with pytest.raises(ValueError, match="two encoders or more, not 1"):
        SideBySide(1, [GRU])
    with pytest.raises(ValueError, match=r"class_path must name an encoder of ssl_ecg.encoders, not 'my.Net'"):
        SideBySide(1, [GRU, {"class_path": "my.Net"}])
    with pytest.raises(ValueError, match=r"not 'my.ConvGRU'"):
        SideBySide(1, [GRU, {"class_path": "my.ConvGRU"}])
    with pytest.raises(ValueError, match="must take the same leads, in the same way"):
        SideBySide(1, [GRU, {**NET, "init_args": {"leads": "apart"}}])
    with pytest.raises(ValueError, match="do not fit into 16 without rest"):
        SideBySide(1, [{**GRU, "init_args": {"strides": [2, 3]}}, NET])

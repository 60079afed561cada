"""The contract of encoders: arguments, tokens, pooling, leads, and where tokens lie."""

from __future__ import annotations

import copy
import io
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssl_ecg.encoders import Encoder, ResNet1d
from ssl_ecg.encoders.amplitudes import per_lead
from ssl_ecg.errors import UserError


class Conv(Encoder):
    """A required argument, and the base's by `**kwargs`."""

    def __init__(self, in_channels: int, width: int, *, back: bool = False, **pooling: Any) -> None:
        super().__init__(in_channels, **pooling)
        self.back = back
        self.conv = nn.Conv1d(self.inputs, width, 9, 4)

    def features(self, x: Tensor) -> list[Tensor]:
        return [self.conv(nn.functional.pad(x, (8, 0) if self.back else (4, 4)))]


class Alone(Encoder):
    """Writes `forward`, as encoders did before there were tokens."""

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.in_channels, self.dim = in_channels, in_channels

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1)


class Recurrent(Encoder):
    """Sees all that was."""

    def __init__(self) -> None:
        super().__init__(1)
        self.net = nn.GRU(1, 4, batch_first=True)

    def features(self, x: Tensor) -> list[Tensor]:
        return [self.net(x.transpose(1, 2))[0].transpose(1, 2)]


X = torch.randn(3, 2, 200, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_arguments_survive_copies_and_rebuild_the_encoder(copied: Any) -> None:
    encoder = Conv(2, width=5, back=True, statistics=("max", "std"), pooling="stages").eval()
    assert encoder.arguments == {
        "in_channels": 2,
        "width": 5,
        "back": True,
        "statistics": ("max", "std"),
        "pooling": "stages",
    }
    again = copied(encoder)
    assert again.arguments == encoder.arguments
    rebuilt = Conv(**again.arguments).eval()
    rebuilt.load_state_dict(again.state_dict())
    assert torch.equal(rebuilt(X), encoder(X))


def test_an_encoder_with_a_required_argument_is_saved_by_torch() -> None:
    torch.save(Conv(2, 5), file := io.BytesIO())
    file.seek(0)
    assert torch.load(file, weights_only=False).arguments["width"] == 5


def test_dimensions_follow_from_the_features() -> None:
    encoder = Conv(2, 5, statistics=("mean", "std", "attentive")).eval()
    assert (encoder.dim, encoder.widths) == (15, (5,))
    assert encoder(X).shape == (3, 15)
    tokens = encoder.tokens(X)
    assert tokens.shape == (3, 5, 50)
    mean, std = tokens.mean(-1), tokens.std(-1, correction=0)
    torch.testing.assert_close(encoder(X), torch.cat([mean, std, mean], 1), atol=1e-5, rtol=1e-4)


def test_attention_learns_to_look_at_some_tokens() -> None:
    encoder = Conv(2, 5, statistics=("attentive",))
    encoder(X).square().sum().backward()
    assert encoder.pools[0].query.grad.abs().sum() > 0
    assert encoder.layers() == [encoder.conv, encoder.pools]
    with torch.no_grad():
        encoder.pools[0].query[0] = 1e7  # however close the brightest two tokens are
    brightest = encoder.tokens(X)[:, 0].argmax(1)
    torch.testing.assert_close(encoder(X), encoder.tokens(X)[torch.arange(3), :, brightest])


def test_leads_apart_are_the_base_s_business() -> None:
    encoder = Conv(2, 5, leads="apart").eval()
    torch.testing.assert_close(encoder(X), (encoder(X[:, :1]) + encoder(X[:, 1:])) / 2)
    torch.testing.assert_close(encoder.tokens(X), (encoder.tokens(X[:, :1]) + encoder.tokens(X[:, 1:])) / 2)


@pytest.mark.parametrize(
    "more",
    [{}, {"amplitudes": True}, {"amplitudes": "stretches"}, {"pooling": "stages", "statistics": ("mean", "attentive")}],
)
def test_leads_beside_each_other_keep_their_places(more: dict[str, Any]) -> None:
    encoder = Conv(2, 5, leads="beside", **more).eval()
    alone = Conv(1, 5, **{**more, "leads": "apart"}).eval()
    alone.load_state_dict(encoder.state_dict())
    z, first, second = encoder(X), alone(X[:, :1]), alone(X[:, 1:])
    assert z.shape == (3, encoder.dim) and encoder.dim == 2 * alone.dim and not encoder.any_leads
    pooled = first.shape[1] - per_lead(more.get("amplitudes", False))
    wanted = [first[:, :pooled], second[:, :pooled], first[:, pooled:], second[:, pooled:]]
    torch.testing.assert_close(z, torch.cat(wanted, dim=1))
    tokens = torch.cat([alone.tokens(X[:, :1]), alone.tokens(X[:, 1:])], dim=1)
    torch.testing.assert_close(encoder.tokens(X), tokens)
    with pytest.raises(UserError, match="embedding of its own"):
        encoder.each_lead(X)


def test_an_encoder_with_forward_alone_embeds_and_refuses_tokens_by_name() -> None:
    encoder = Alone(2)
    assert encoder(X).shape == (3, encoder.dim)
    assert not encoder.has_tokens
    for need in (lambda: encoder.tokens(X), lambda: encoder.stride):
        with pytest.raises(UserError, match="Alone gives no tokens"):
            need()


def test_an_encoder_with_neither_is_refused_by_name() -> None:
    class Nothing(Encoder):
        pass

    with pytest.raises(TypeError, match="Nothing must write features"):
        Nothing()


@pytest.mark.parametrize(
    ("encoder", "stride", "left", "right", "centre", "causal"),
    [
        (Conv(2, 3), 4, 4, 4, 0, False),
        (Conv(2, 3, back=True), 4, 8, 0, -4, True),
        (ResNet1d(1, 4), 16, 145, 145, 0, False),
        (ResNet1d(1, 4, stages=1, stem=3, kernel=5), 3, 19, 19, 0, False),
        (Recurrent(), 1, math.inf, 0, 0, True),
    ],
)
def test_where_tokens_lie_is_measured(
    encoder: Encoder, stride: int, left: float, right: float, centre: float, causal: bool
) -> None:
    before = copy.deepcopy(encoder.state_dict())
    assert encoder.grids[-1] == (stride, left, right)
    assert encoder.grids[-1].centre == centre
    assert (encoder.stride, encoder.receptive_field, encoder.causal) == (stride, left + right + 1, causal)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.training


def test_dropout_is_for_training_alone() -> None:
    encoder, without = ResNet1d(2, width=4, dropout=0.5), ResNet1d(2, width=4)
    assert not torch.equal(encoder(X), encoder(X))
    without.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(X), without.eval()(X))


@pytest.mark.parametrize("wrong", [{"statistics": ["median"]}, {"statistics": []}, {"statistics": ["max", "max"]}])
def test_unknown_statistics_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="statistics must be some of mean, max, std, attentive"):
        ResNet1d(**wrong)

"""A causal network: convolutions make tokens, and a recurrent context network reads them in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.layers import (
    Carrying,
    Conv,
    LayerNorm,
    as_image,
    as_signal,
    at_least_one,
    end_of_branch,
    shares,
)


class ConvGRU(Carrying, Encoder):
    """Strided causal convolutions, and a GRU over their tokens: the encoder and the context network of CPC.

    van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748) at the size of an ECG. No token sees anything later than
    the stretch it stands for, so that what is embedded so far never changes as a recording goes on. Deviations: few
    strides (a token is 80 ms at 100 Hz); LayerNorm over channels and GELU, since BatchNorm tells a token of its
    sequence's future in training; a residual convolution after each strided one.

    The stages are the convolutions' tokens and the context, which is what an embedding is made of.

    Sizes (one lead): the default has about 0.32 M parameters; width 96 and context 256 about 0.9 M.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: channels of the first convolution; each later one has half of that more.
        strides: stride of each strided convolution; a token is their product, in samples.
        kernel: length of every convolution in samples.
        context: units of the GRU.
        layers_of_context: GRUs one over the other.
        dropout: share of values dropped at the end of each residual body and after each GRU, in training.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    carries = True

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 56,
        strides: Sequence[int] = (2, 2, 2),
        kernel: int = 5,
        context: int = 160,
        layers_of_context: int = 1,
        dropout: float = 0.0,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("ConvGRU", width=width, strides=min(strides, default=0), kernel=kernel, context=context)
        at_least_one("ConvGRU", layers_of_context=layers_of_context)
        shares("ConvGRU", dropout=dropout)
        self.convs = CausalTokens(self.inputs, width, strides, kernel, dropout)
        between = dropout if layers_of_context > 1 else 0.0  # torch warns where there is no between
        self.context = nn.GRU(self.convs.outputs, context, layers_of_context, batch_first=True, dropout=between)
        self.drop = nn.Dropout(dropout)

    def features(self, x: Tensor) -> list[Tensor]:
        """The convolutions' tokens and the context: (B, `inputs`, T) -> (B, F_i, ceil(T / product of strides))."""
        return self.details(x)[-2:]

    def details(self, x: Tensor) -> list[Tensor]:
        """What each strided convolution gives, and the context."""
        maps = self.convs.maps(x)
        context, state = self.context(maps[-1].transpose(1, 2), self.past)
        if self.carrying:
            self.past = state
        return [*maps, self.drop(context).transpose(1, 2)]

    def layers(self) -> list[nn.Module]:
        """Every convolution with its residual one, and the GRU."""
        return [*self.convs, self.context, *self._learned_pooling()]


class CausalTokens(nn.Sequential):
    """Strided causal convolutions, each with a residual one: (B, C, 1, T) -> (B, `outputs`, 1, T').

    Channels grow by half of the first's each time; arguments are those of `ConvGRU`.
    """

    def __init__(self, inputs: int, width: int, strides: Sequence[int], kernel: int, dropout: float) -> None:
        widths = [width + place * width // 2 for place in range(len(strides))]
        super().__init__(
            *(
                _Block(into, out, kernel, stride, dropout)
                for into, out, stride in zip([inputs, *widths[:-1]], widths, strides, strict=True)
            )
        )
        self.outputs = widths[-1]

    def maps(self, x: Tensor) -> list[Tensor]:
        """What each of them gives of signals (B, C, T): shapes (B, F_i, T_i)."""
        each, found = as_image(x), []
        for block in self:
            each = block(each)
            found.append(as_signal(each))
        return found


class _Block(nn.Module):
    """A strided causal convolution and a residual one: (B, C, 1, T) -> (B, C', 1, ceil(T / stride))."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.down = nn.Sequential(Conv(inputs, outputs, kernel, stride, causal=True), LayerNorm(outputs), nn.GELU())
        self.body = nn.Sequential(
            Conv(outputs, outputs, kernel, causal=True), LayerNorm(outputs), nn.GELU(), end_of_branch(dropout, 0.0)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return cast("Tensor", x + self.body(x))

"""The contract every encoder fulfils: `(B, C, T) -> (B, D)` for any T, by way of tokens `(B, F, T')`."""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.amplitudes import Amplitudes, in_own_sd, per_lead, sizes
from ssl_ecg.encoders.grid import Grid, measure_grids, measure_strides
from ssl_ecg.encoders.pooling import Pool, Statistic
from ssl_ecg.errors import UserError

Leads = Literal["together", "apart", "beside"]


class Encoder(nn.Module):
    """Maps windows of ECG to embeddings.

    A subclass writes `features`, and is given tokens, pooling and the treatment of leads by this class; its dimensions
    are measured after its constructor. One that writes `forward` alone, and sets `in_channels` and `dim`, embeds too,
    but has no tokens.

    A subclass's constructor arguments are its settings and are plain values; together with the class they rebuild it
    from a checkpoint.

    Args:
        in_channels: number of leads C.
        pooling: what an embedding is made of: the "last" stage, or all "stages" side by side.
        statistics: what is taken of each stage over time: any of "mean", "max", "std" and "attentive".
        stretch: length of the stretches whose maxima are averaged, in samples; they overlap by half. 0 takes one
            maximum of all.
        leads: "together": `features` gets all leads; "apart": it gets one at a time, and the embeddings are averaged;
            "beside": one at a time, and the C embeddings stand side by side, in the order of the leads.
        amplitudes: for windows in mV: `features` gets each lead divided by its standard deviation, and the logarithms
            of each lead's standard deviation, maximum and depth stand beside the pooled stages; by "stretches", the
            three of each eighth of the window, in mV. Shapes then carry over to other devices, and voltages are kept.
            Pretrain with `AmplitudeScale` per lead, or views match by size.

    Attributes:
        in_channels: number of leads C.
        inputs: number of leads that `features` gets: C, or 1 where leads are embedded one by one.
        one_by_one: whether each lead is embedded by itself.
        any_leads: whether it takes any number of leads, each embedded by itself, and averages them.
        carries: whether all of its layers that look back are `Carrying`, so that a signal may come piece by piece.
        widths: features F_i of each stage; the last one's are a token's.
        dim: length of an embedding, D.
        arguments: what the constructor was called with, defaults filled in and `**kwargs` unpacked.

    Raises:
        ValueError: for a setting that cannot be used.
    """

    in_channels: int
    inputs: int
    one_by_one: bool = False
    any_leads: bool = False
    amplitudes: Amplitudes = False
    carries: bool = False
    widths: tuple[int, ...] = ()
    dim: int
    arguments: dict[str, Any]
    _measured: tuple[Grid, ...] | None = None
    _measured_details: tuple[Grid, ...] | None = None

    def __init__(
        self,
        in_channels: int = 1,
        pooling: Literal["last", "stages"] = "last",
        statistics: Sequence[Statistic] = ("mean", "max"),
        stretch: int = 0,
        leads: Leads = "together",
        amplitudes: Amplitudes = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if in_channels < 1:
            raise ValueError(f"{name}: in_channels must be at least 1, not {in_channels}")
        if pooling not in ("last", "stages"):
            raise ValueError(f"{name}: pooling must be 'last' or 'stages', not {pooling!r}")
        if stretch < 0:
            raise ValueError(f"{name}: stretch must not be negative, not {stretch}")
        if leads not in ("together", "apart", "beside"):
            raise ValueError(f"{name}: leads must be 'together', 'apart' or 'beside', not {leads!r}")
        if amplitudes not in (False, True, "stretches"):
            raise ValueError(f"{name}: amplitudes must be False, True or 'stretches', not {amplitudes!r}")
        self.in_channels, self.any_leads = in_channels, leads == "apart"
        self.inputs = in_channels if leads == "together" else 1
        self.one_by_one = leads != "together"
        self.pooling, self.statistics, self.stretch = pooling, tuple(statistics), stretch
        self.amplitudes = amplitudes

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Have the constructor note its arguments, so that no encoder has to."""
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _noting(cls.__init__)  # type: ignore[method-assign]

    def features(self, x: Tensor) -> Iterable[Tensor]:
        """Compute feature maps, stage by stage, as a list or one after the other; the last stage's are the tokens.

        Args:
            x: shape (B, `inputs`, T), any T from a few samples up.

        Returns:
            Shapes (B, F_i, T_i).
        """
        raise UserError(
            f"{type(self).__name__} gives no tokens, since it writes forward alone: this needs an encoder that writes "
            "features(x) -> list of (B, F, T')"
        )

    def details(self, x: Tensor) -> Iterable[Tensor]:
        """Compute the maps of its layers, the finest too: those of `features`, unless there are more.

        For what has to know a moment better than a token does; shapes and errors as of `features`.
        """
        return self.features(x)

    @property
    def has_tokens(self) -> bool:
        """Whether it writes `features`."""
        return type(self).features is not Encoder.features

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows.

        Args:
            x: shape (B, C, T), any T from a few samples up.

        Returns:
            Shape (B, D): of each pooled stage, the first first, one statistic after the other; amplitudes last.
        """
        return self.with_amplitudes(self.join_leads(self.pool(self.features(self.seen(x))), x.shape[0]), x)

    def each_lead(self, x: Tensor) -> Tensor:
        """Embed each lead of windows (B, C, T) by itself: shape (B, C, D).

        Raises:
            UserError: if it takes leads together.
        """
        if not self.any_leads:
            raise UserError(f"{type(self).__name__} takes its leads together: none has an embedding of its own")
        z: Tensor = self(x.flatten(0, 1)[:, None])
        return cast("Tensor", z.unflatten(0, x.shape[:2]))

    def stages(self, x: Tensor) -> list[Tensor]:
        """Compute the feature maps of windows (B, C, T), leads that are embedded apart averaged: shapes (B, F_i, T_i).

        Raises:
            UserError: if it has no tokens.
        """
        return [self.join_leads(each, x.shape[0]) for each in self.features(self.seen(x))]

    def tokens(self, x: Tensor) -> Tensor:
        """Compute the tokens of windows (B, C, T): the last stage, shape (B, F, T').

        Raises:
            UserError: if it has none.
        """
        return self.stages(x)[-1]

    def pool(self, maps: Iterable[Tensor]) -> Tensor:
        """Pool feature maps (B, F_i, T_i) of all stages, of any length, to embeddings (B, D)."""
        if self.pooling == "stages":
            return torch.cat([pool(each) for pool, each in zip(self.pools, maps, strict=True)], dim=1)
        return cast("Tensor", self.pools[0](deque(maps, maxlen=1).pop()))

    def split_leads(self, x: Tensor) -> Tensor:
        """Make each lead a sample of its own where they are embedded one by one: (B, C, T) -> (B C, 1, T)."""
        return x.flatten(0, 1)[:, None] if self.one_by_one else x

    def seen(self, x: Tensor) -> Tensor:
        """Make of windows (B, C, T) what `features` gets: leads apart, and in standard deviations, where asked for."""
        x = self.split_leads(x)
        return in_own_sd(x) if self.amplitudes else x

    def with_amplitudes(self, z: Tensor, x: Tensor) -> Tensor:
        """Put the amplitudes of windows (B, C, T) beside their pooled stages (B, F), where asked for."""
        if not self.amplitudes:
            return z
        found = self.join_leads(sizes(self.split_leads(x), self.amplitudes), len(x))
        return torch.cat([z, found.to(z.dtype)], dim=1)

    def join_leads(self, z: Tensor, batch: int) -> Tensor:
        """Average the leads of each sample where they were embedded apart, or put them side by side.

        (B C, F, ...) -> (B, F, ...) or (B, C F, ...).
        """
        if not self.one_by_one:
            return z
        each: Tensor = z.unflatten(0, (batch, -1))
        return each.mean(1) if self.any_leads else each.flatten(1, 2)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Where the tokens of each stage lie in the signal and how far they see; measured once."""
        if self._measured is None:
            self._measured = measure_grids(self)
        return self._measured

    @property
    def detail_grids(self) -> tuple[Grid, ...]:
        """As `grids`, of the maps of `details`."""
        if self._measured_details is None:
            self._measured_details = measure_grids(self, details=True)
        return self._measured_details

    @property
    def stride(self) -> int:
        """Samples from a token to the next."""
        return self.grids[-1].stride

    @property
    def receptive_field(self) -> float:
        """Samples that a token sees; infinite if all."""
        return self.grids[-1].left + self.grids[-1].right + 1

    @property
    def causal(self) -> bool:
        """Whether no token sees a sample later than the stretch it stands for."""
        return all(grid.right < grid.stride for grid in self.grids)

    def layers(self) -> list[nn.Module]:
        """Its layers from the signal to the embedding, which layer-wise learning rates count by.

        The direct submodules, in the order they were made; an encoder whose depth lies within one of them says better.
        """
        return [*(child for name, child in self.named_children() if name != "pools"), *self._learned_pooling()]

    def _learned_pooling(self) -> list[nn.Module]:
        """The layer of pooling, if it learns anything."""
        pools = self._modules.get("pools")
        return [pools] if pools is not None and any(True for _ in pools.parameters()) else []

    @torch.no_grad()
    def _complete(self) -> None:
        """Measure, once the constructor is done, what `features` gives, and make the pooling."""
        if not self.has_tokens:
            if type(self).forward is Encoder.forward:
                raise TypeError(f"{type(self).__name__} must write features(x) or forward(x)")
            return
        training = self.training
        maps: list[Any] = list(self.eval().features(torch.zeros(1, self.inputs, 512)))
        strides = measure_strides(self) if self.stretch else [1] * len(maps)
        self.train(training)
        if not maps or any(not isinstance(each, Tensor) or each.ndim != 3 for each in maps):
            raise TypeError(f"{type(self).__name__}.features must give a list of tensors (B, F, T')")
        self.widths = tuple(each.shape[1] for each in maps)
        used = slice(None) if self.pooling == "stages" else slice(-1, None)
        self.pools = nn.ModuleList(
            Pool(width, self.statistics, self.stretch and max(1, round(self.stretch / stride)))
            for width, stride in list(zip(self.widths, strides, strict=True))[used]
        )
        if "dim" not in self.__dict__:
            lead_by_lead = self.in_channels if self.one_by_one and not self.any_leads else 1
            of_each = len(self.statistics) * sum(self.widths[used]) + per_lead(self.amplitudes) * self.inputs
            self.dim = lead_by_lead * of_each


def _noting(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor note its arguments and complete the encoder; of several in a line of classes, the outermost."""

    @functools.wraps(init)
    def noting(self: Encoder, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        if "arguments" in self.__dict__:
            return init(self, *args, **kwargs)
        bound = inspect.signature(init).bind(self, *args, **kwargs)
        bound.apply_defaults()
        noted: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL and value:
                raise TypeError(f"{type(self).__name__}: arguments of an encoder have names, *{name} has none")
            if kind is not inspect.Parameter.VAR_POSITIONAL:
                noted |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        object.__setattr__(self, "arguments", noted)
        init(self, *args, **kwargs)
        self._complete()
        return None

    return noting


Encoder.__init__ = _noting(Encoder.__init__)  # type: ignore[method-assign]

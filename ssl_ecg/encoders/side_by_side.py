"""Several encoders of one signal, whose embeddings stand side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, max_pool1d

from ssl_ecg.encoders.amplitudes import per_lead
from ssl_ecg.encoders.base import Encoder, Leads
from ssl_ecg.encoders.grid import measure_strides
from ssl_ecg.encoders.names import class_named


class SideBySide(Encoder):
    """Several encoders, each of which sees the whole signal; an embedding is theirs, one after the other.

    What one network misses another may see, such as one that reads both ways beside a causal one. Its stages are those
    of all encoders and, last, their tokens side by side at the lowest of their rates: of higher rates, mean and maximum
    of those in a longer token's place. `python -m ssl_ecg.checkpoints join` makes one of pretrained encoders.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        encoders: class (`class_path`, a name in `ssl_ecg.encoders`) and arguments (`init_args`) of each.
        **settings: arguments of all of them, such as statistics or leads, where `init_args` has none of that name.

    Raises:
        ValueError: for fewer than two encoders, a class that is none, encoders that do not treat leads and amplitudes
            alike, or rates of tokens none of which all others are multiples of.
    """

    def __init__(
        self,
        in_channels: int = 1,
        encoders: Sequence[Mapping[str, Any]] = ({"class_path": "ConvGRU"}, {"class_path": "MobileNet1d"}),
        **settings: Any,  # noqa: ANN401
    ) -> None:
        if len(encoders) < 2:
            raise ValueError(f"SideBySide: expected two encoders or more, not {len(encoders)}")
        found = [_make(each, {"in_channels": in_channels, **settings}) for each in encoders]
        ways = {(each.in_channels, each.one_by_one, each.any_leads, each.amplitudes) for each in found}
        if len(ways) > 1:
            raise ValueError("SideBySide: all encoders must take the same leads, in the same way, and amplitudes alike")
        first = found[0]
        leads: Leads = "apart" if first.any_leads else "beside" if first.one_by_one else "together"
        super().__init__(first.in_channels, "stages", ("mean",), leads=leads, amplitudes=first.amplitudes)
        self.encoders = nn.ModuleList(found)
        self.carries = all(each.carries for each in found)
        strides = [measure_strides(copy.deepcopy(each).eval())[-1] for each in found]
        if any(max(strides) % stride for stride in strides):
            raise ValueError(f"SideBySide: tokens of {strides} samples do not fit into {max(strides)} without rest")
        self._of_one = [max(strides) // stride for stride in strides]
        repeated = per_lead(first.amplitudes) * first.inputs  # amplitudes stand once in an embedding
        repeated *= first.in_channels if leads == "beside" else 1
        self.dim = sum(each.dim for each in found) - (len(found) - 1) * repeated

    @property
    def _parts(self) -> list[Encoder]:
        return [cast("Encoder", each) for each in self.encoders]

    def features(self, x: Tensor) -> list[Tensor]:
        """The stages of all encoders, one encoder after the other, and their tokens side by side."""
        stages = [list(encoder.features(x)) for encoder in self._parts]
        return [*chain(*stages), self._joined([maps[-1] for maps in stages])]

    def details(self, x: Tensor) -> list[Tensor]:
        """The maps of the layers of all encoders, the stages last."""
        found = [list(encoder.details(x)) for encoder in self._parts]
        first = [len(maps) - len(encoder.widths) for maps, encoder in zip(found, self._parts, strict=True)]
        finer = chain(*(maps[:count] for maps, count in zip(found, first, strict=True)))
        stages = chain(*(maps[count:] for maps, count in zip(found, first, strict=True)))
        return [*finer, *stages, self._joined([maps[-1] for maps in found])]

    def pool(self, maps: Iterable[Tensor]) -> Tensor:
        """Pool the stages of each encoder as it does itself."""
        rest = iter(maps)
        return torch.cat([encoder.pool(islice(rest, len(encoder.widths))) for encoder in self._parts], dim=1)

    def layers(self) -> list[nn.Module]:
        """The layers of all encoders, those together that are as far from the embedding."""
        from_the_end = zip_longest(*(reversed(encoder.layers()) for encoder in self._parts))
        together = [nn.ModuleList(layer for layer in depth if layer is not None) for depth in from_the_end]
        return [*reversed(together)]

    def _joined(self, tokens: Sequence[Tensor]) -> Tensor:
        """Tokens of all encoders (B, F_i, T_i) side by side."""
        found: list[Tensor] = []
        for each, k in zip(tokens, self._of_one, strict=True):
            if k == 1:
                found.append(each)
            else:
                found.append(avg_pool1d(each, k, ceil_mode=True, count_include_pad=False))
                found.append(max_pool1d(each, k, ceil_mode=True))
        return torch.cat(found, dim=1)

    def _complete(self) -> None:
        super()._complete()
        self.pools = nn.ModuleList()  # each encoder has its own


def _make(described: Mapping[str, Any], settings: Mapping[str, Any]) -> Encoder:
    """An encoder of ours by its class and arguments."""
    path = str(described.get("class_path", ""))
    kind = class_named(path if "." in path else f"ssl_ecg.encoders.{path}")
    if kind is None or kind is Encoder:
        raise ValueError(f"SideBySide: class_path must name an encoder of ssl_ecg.encoders, not {path!r}")
    return kind(**{**settings, **described.get("init_args", {})})

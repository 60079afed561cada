"""The tokens of a signal that comes in blocks, each computed once and as in the whole signal."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.layers import Carrying
from ssl_ecg.errors import UserError
from ssl_ecg.streaming.conditioning import State


class Tokens:
    """Feature maps of blocks of a normalised signal, one block after the other.

    An encoder that `carries` goes on where it was: nothing is computed twice, and nothing waits. Of others, each block
    is encoded with as much around it as its tokens see, and waits for `waits` samples of what follows.

    Args:
        encoder: has tokens.
        details: give the maps of `Encoder.details`, not those of `features`.
        block: samples of a block, a multiple of `step_of(encoder)`.

    Raises:
        UserError: for an encoder without tokens, or one whose tokens see everything and that does not carry.
    """

    def __init__(self, encoder: Encoder, block: int, details: bool = False) -> None:
        self.encoder, self.block, self.details = copy.deepcopy(encoder).eval(), block, details
        grids = encoder.detail_grids if details else encoder.grids
        self.strides = [grid.stride for grid in grids]
        self.layers = (
            {n: m for n, m in self.encoder.named_modules() if isinstance(m, Carrying)} if encoder.carries else {}
        )
        for layer in self.layers.values():
            layer.carrying = True
        reach = 0 if encoder.carries else max(max(grid.left, grid.right) for grid in grids)
        if math.isinf(reach):
            raise UserError(
                f"{type(encoder).__name__} cannot stream: its tokens see the whole recording, and it does not carry "
                "what it has seen (Encoder.carries)"
            )
        self.around = 0 if encoder.carries else math.ceil(reach / step_of(encoder) + 1) * step_of(encoder)
        self.waits = self.around
        self._held: Tensor | None = None
        self._first = self._made = 0

    @torch.inference_mode()
    def push(self, block: NDArray[np.float32]) -> list[list[Tensor]]:
        """Take a block (C, `block`); give the maps (B, F_i, T_i) of those that are finished."""
        x = torch.from_numpy(block)[None]
        if self.encoder.carries:
            return [self._encoded(x)]
        self._held = x if self._held is None else torch.cat([self._held, x], dim=-1)
        found = []
        while self._first + self._held.shape[-1] >= self._made + self.block + self.waits:
            found.append(self._cut(self._made + self.block))
        return found

    @torch.inference_mode()
    def finish(self, rest: NDArray[np.float32]) -> list[list[Tensor]]:
        """Take the last samples (C, n), fewer than a block; give the maps of all that is left, in blocks."""
        x = torch.from_numpy(rest)[None]
        if self.encoder.carries:
            return [self._encoded(x)] if x.shape[-1] else []
        self._held = x if self._held is None else torch.cat([self._held, x], dim=-1)
        end, found = self._first + self._held.shape[-1], []
        while self._made < end:
            found.append(self._cut(min(end, self._made + self.block)))
        return found

    def _cut(self, end: int) -> list[Tensor]:
        """Maps of the samples up to before `end`, with what is around them."""
        assert self._held is not None
        origin = max(0, self._made - self.around)
        part = self._held[..., origin - self._first : end + self.waits - self._first]
        maps = []
        for each, stride in zip(self._encoded(part), self.strides, strict=True):
            first = (self._made - origin) // stride
            maps.append(each[..., first : first + -(-(end - self._made) // stride)])
        self._made = end
        needed = max(0, end - self.around)
        self._held, self._first = self._held[..., needed - self._first :].clone(), needed
        return maps

    def _encoded(self, x: Tensor) -> list[Tensor]:
        maps = self.encoder.details if self.details else self.encoder.features
        return list(maps(self.encoder.split_leads(x)))

    def state(self) -> State:
        """All that the future depends on."""
        found: State = {f"past.{name}": m.past.numpy() for name, m in self.layers.items() if m.past is not None}
        if self._held is not None:
            found["held"] = self._held.numpy()
        return found | {"counts": np.array([self._first, self._made])}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, layer in self.layers.items():
            past = state.get(f"past.{name}")
            layer.past = None if past is None else torch.from_numpy(past)
        self._held = torch.from_numpy(state["held"]) if "held" in state else None
        self._first, self._made = (int(n) for n in state["counts"])


def step_of(encoder: Encoder) -> int:
    """Samples after which the tokens of all stages fall on a block's edge again."""
    if not encoder.has_tokens:
        raise UserError(f"{type(encoder).__name__} cannot stream: it has no tokens, since it writes forward alone")
    return math.lcm(*(grid.stride for grid in encoder.grids))

"""The waves of a lead while it is recorded, each a fixed time after it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.pretrained import MILLIVOLTS, Unit
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.streaming.conditioning import CausalConditioning
from ssl_ecg.streaming.normalising import Normaliser
from ssl_ecg.streaming.tokens import Tokens, step_of
from ssl_ecg.waves.features import Frozen, Map, check_one_lead
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.matching import Found

_WINDOW = 12.0  # s whose path is searched anew with every hop
_AGAIN = 0.06  # s: a wave that begins so much before the end of the last one is that one


class StreamingWaves:
    """Find the waves of one lead while it is recorded: chunks of any size in, waves out.

    Filters run forwards alone, tokens are computed once, and with every hop the most likely path through the last 12 s
    is searched anew; what has ended `delay` s before the last score is final and given, once. The head should be one
    that was fitted so: `python -m ssl_ecg.delineate REF --data LUDB --causal true --save_head FOLDER`.

    Args:
        encoder: of one lead, or any.
        head: for it.
        fs: sampling rate of the chunks, Hz.
        unit: of the samples: "mV", "uV" or "V".
        hop: from a search to the next, s; made a multiple of the tokens' strides.
        delay: what a wave waits for after it has ended, s: what follows tells where it ended.
        scale: standard deviation of the lead, mV, where the encoder normalises by "record" and it is known.
        enrol: otherwise, how much of the start it is taken from, s; the first hops wait for it.

    Attributes:
        latency: from the end of a wave until it is given, at most, s; `enrol` comes on top at the start.

    Raises:
        DataError: for a unit or a rate that cannot be used.
        UserError: for an encoder that cannot stream or reads several leads, or settings that are not positive.

    Example:
        >>> stream = StreamingWaves(encoder, head, fs=250)      # doctest: +SKIP
        >>> for chunk in device:                                # doctest: +SKIP
        ...     for wave in stream.push(chunk):
        ...         use(wave.labels, wave.onset, wave.offset)
    """

    def __init__(
        self,
        encoder: PretrainedEncoder,
        head: Head,
        fs: float,
        unit: Unit = "mV",
        hop: float = 0.25,
        delay: float = 1.0,
        scale: float | None = None,
        enrol: float = 10.0,
    ) -> None:
        check_one_lead(encoder)
        if unit not in MILLIVOLTS:
            raise DataError(f"the unit of a signal is one of {', '.join(MILLIVOLTS)}, not {unit!r}")
        if not (hop > 0 and delay > 0 and enrol > 0):
            raise UserError("hop, delay and enrol are numbers of seconds above 0")
        p = encoder.preprocessing
        self.fs, self.unit, self.rate, self.head = fs, unit, p.fs, head
        self._frozen = Frozen("", encoder.encoder, p.fs)
        step = math.lcm(step_of(encoder.encoder), *(grid.stride for grid in encoder.encoder.detail_grids))
        block = max(1, round(hop * p.fs / step)) * step
        self._conditioning = CausalConditioning(p, fs, ("lead",) if p.any_leads else p.leads)
        self._normaliser = Normaliser(p, 1, block, None if scale is None else np.array([scale]), enrol)
        self._tokens = Tokens(encoder.encoder, block, details=True)
        self._window, self._delay = math.ceil(_WINDOW * p.fs / step) * step, delay * p.fs
        shapes = self._frozen.together(torch.zeros(1, 8 * step))
        # Samples that scores wait for: tokens that the layer reads are later than what it says, and its convolutions.
        self._ahead = math.ceil(max(max(each.shifts) + each.stride for each in shapes))
        self._ahead += head.refine.reach if head.refine is not None else 0
        waits = block + self._normaliser.waits + self._tokens.waits + self._ahead
        self.latency = self._conditioning.delay + delay + waits / p.fs
        self._maps: list[Map] = []
        self._first = self._made = 0  # samples: where the maps begin, and how many have tokens
        self._given, self._last = 0.0, -math.inf  # samples: what ended before was given; the end of the last wave

    def push(self, chunk: NDArray[Any]) -> Iterator[Found]:
        """Take a chunk (n,) of any length, and give the waves that are final, in s from the start.

        DataError for samples that are NaN or infinite.
        """
        x = np.asarray(chunk, dtype=np.float64).reshape(1, -1) * MILLIVOLTS[self.unit]
        blocks = self._normaliser.push(self._conditioning.push(x))
        found = [self._hop(maps) for block in blocks for maps in self._tokens.push(block)]
        return iter([each for each in found if len(each.labels)])

    def finish(self) -> Iterator[Found]:
        """Give what is left at the end of the recording; no more can be pushed."""
        blocks = self._normaliser.push(self._conditioning.finish())
        parts = [maps for block in blocks for maps in self._tokens.push(block)]
        parts += self._tokens.finish(self._normaliser.finish())
        found = [self._hop(maps) for maps in parts]
        found.append(self._search(self._made, math.inf))
        return iter([each for each in found if len(each.labels)])

    def _hop(self, maps: list[torch.Tensor]) -> Found:
        """Add the maps of a block (1, F_i, n_i), and give what became final."""
        placed = self._frozen.placed([each.float() for each in maps])
        kept = [old.values for old in self._maps] or [each.values[..., :0] for each in placed]
        self._made += maps[0].shape[-1] * placed[0].stride
        first = max(self._first, self._made - self._window - self._ahead)
        first -= first % math.lcm(*(each.stride for each in placed))
        self._maps = [
            Map(torch.cat([old, new.values], -1)[..., (first - self._first) // new.stride :], new.stride, new.shifts)
            for old, new in zip(kept, placed, strict=True)
        ]
        self._first = first
        scored = self._made - self._ahead
        return self._search(scored, scored - self._delay) if scored > first else _part(None, [])

    def _search(self, end: int, final: float) -> Found:
        """Give the waves of the samples before `end` that ended before sample `final` and were not given yet."""
        if not self._maps or end <= self._first:
            return _part(None, [])
        (scores,) = self.head.scores(self._maps, end - self._first)
        (found,) = self.head.find([scores], self.rate)
        rows = []
        for row, (on, off) in enumerate(zip(found.onset.tolist(), found.offset.tolist(), strict=True)):
            start, stop = on * self.rate + self._first, off * self.rate + self._first
            again = _AGAIN * self.rate
            if self._given - again <= stop < final and start >= self._last - again:
                rows.append(row)
                self._last = stop
        self._given = max(self._given, final)
        return _part(found, rows, self._first / self.rate)


def _part(found: Found | None, rows: list[int], later: float = 0.0) -> Found:
    """Some of the waves, so much later."""
    if found is None:
        none = np.zeros(0)
        return Found(np.zeros(0, dtype=np.str_), none, none, none, none)
    onset, peak, offset = (each[rows] + later for each in (found.onset, found.peak, found.offset))
    return Found(found.labels[rows], onset, peak, offset, found.confidence[rows])

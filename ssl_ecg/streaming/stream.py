"""An encoder for a signal that is still being recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.checkpoint.pretrained import MILLIVOLTS, Unit
from ssl_ecg.errors import CheckpointError, DataError, UserError
from ssl_ecg.files import replacing
from ssl_ecg.streaming.conditioning import CausalConditioning, State
from ssl_ecg.streaming.normalising import Normaliser
from ssl_ecg.streaming.tokens import Tokens, step_of


class Hop(NamedTuple):
    """What one hop gives.

    Attributes:
        end: where it ends in the recording, s.
        tokens: the tokens of the hop, shape (F, n).
        times: the time each is about, s, shape (n,).
        embedding: of the last `span` s, pooled from their tokens as a window's are, shape (D,).
    """

    end: float
    tokens: NDArray[np.float32]
    times: NDArray[np.float64]
    embedding: NDArray[np.float32]


class StreamingEncoder:
    """Encode a recording while it is made: chunks of any size in, tokens and an embedding for every hop out.

    Tokens are those of the whole recording conditioned causally: the same bit for bit however it is cut into chunks,
    and equal to the encoder's on the whole to 1e-5. A causal encoder (ConvGRU, ConvS4D) carries its state and computes
    nothing twice; another encodes each hop with what its tokens see around it, and waits for that (`latency`).

    A zero-phase filter needs the future, so filters run forwards alone, and embeddings differ from `load_encoder`'s
    (docs/edge.md says by how much). A recording normalised by "record" is divided by its first seconds' scale.

    Args:
        ref: a `PretrainedEncoder`, or a reference to a checkpoint.
        fs: sampling rate of the chunks, Hz.
        leads: name of each channel.
        unit: of the samples: "mV", "uV" or "V".
        hop: from an embedding to the next, s; made a multiple of the tokens' stride.
        span: what an embedding is of, s; the training window by default.
        scale: standard deviation of each lead the encoder sees, mV, where it normalises by "record" and it is known.
        enrol: otherwise, how much of the start it is taken from, s; the first hops wait for it.
        trust: as for `load_encoder`.

    Attributes:
        latency: time from a sample to the end of the hop that holds it, at most, s; `enrol` comes on top at the start.

    Raises:
        DataError: for leads, a unit or a rate that cannot be used.
        UserError: for an encoder that cannot stream, or settings that are not positive.

    Example:
        >>> stream = StreamingEncoder("runs/cinc2017-joint", fs=300, leads=["I"])    # doctest: +SKIP
        >>> for chunk in device:                                                     # doctest: +SKIP
        ...     for hop in stream.push(chunk):
        ...         use(hop.end, hop.embedding)
    """

    def __init__(
        self,
        ref: PretrainedEncoder | str | Path,
        fs: float,
        leads: Sequence[str],
        unit: Unit = "mV",
        hop: float = 1.0,
        span: float | None = None,
        scale: Sequence[float] | NDArray[np.floating] | None = None,
        enrol: float = 10.0,
        trust: bool = False,
    ) -> None:
        pretrained = ref if isinstance(ref, PretrainedEncoder) else load_encoder(ref, trust)
        if unit not in MILLIVOLTS:
            raise DataError(f"the unit of a signal is one of {', '.join(MILLIVOLTS)}, not {unit!r}")
        p, encoder = pretrained.preprocessing, pretrained.encoder
        span = p.window if span is None else span
        if encoder.amplitudes:
            raise UserError(
                "this encoder divides each lead by its standard deviation over a recording: no stream has one"
            )
        if not (hop > 0 and span > 0 and enrol > 0):
            raise UserError("hop, span and enrol are numbers of seconds above 0")
        self.pretrained, self.fs, self.unit = pretrained, fs, unit
        self.settings: dict[str, Any] = {"fs": fs, "leads": list(leads), "unit": unit, "hop": hop, "span": span}
        self.settings |= {"enrol": enrol, "weights": pretrained.weights}
        step = step_of(encoder)
        self.block = max(1, round(hop * p.fs / step)) * step
        self.conditioning = CausalConditioning(p, fs, leads)
        known = None if scale is None else np.asarray(scale, dtype=np.float64)
        self.normaliser = Normaliser(p, len(self.conditioning.want), self.block, known, enrol)
        self.tokens = Tokens(encoder, self.block)
        self.counts = [max(1, round(span * p.fs / stride)) for stride in self.tokens.strides]
        self.latency = self.conditioning.delay + (self.block + self.normaliser.waits + self.tokens.waits) / p.fs
        self._kept: list[torch.Tensor] = []
        self._made = self._seen = 0
        self._finished, self._busy = False, 0.0

    def push(self, chunk: NDArray[Any]) -> Iterator[Hop]:
        """Take a chunk (C, n) of any length, and give the hops that it finishes.

        DataError for another number of channels, or samples that are NaN or infinite; after `finish`, UserError.
        """
        if self._finished:
            raise UserError("the stream was finished: begin another one")
        start = time.perf_counter()
        x = np.asarray(chunk, dtype=np.float64) * MILLIVOLTS[self.unit]
        hops = [
            self._hop(maps)
            for block in self.normaliser.push(self.conditioning.push(x))
            for maps in self.tokens.push(block)
        ]
        self._seen += x.shape[1]
        self._busy += time.perf_counter() - start
        return iter(hops)

    def finish(self) -> Iterator[Hop]:
        """Give the hops that are left at the end of the recording; the last one may be shorter."""
        rest = self.conditioning.finish()
        blocks = self.normaliser.push(rest)
        last = self.normaliser.finish()
        found = [maps for block in blocks for maps in self.tokens.push(block)]
        while last.shape[1] >= self.block:  # what waited for what follows it
            found += self.tokens.push(last[:, : self.block])
            last = last[:, self.block :]
        self._finished = True
        return iter([self._hop(maps) for maps in [*found, *self.tokens.finish(last)]])

    @torch.inference_mode()
    def _hop(self, maps: list[torch.Tensor]) -> Hop:
        encoder, grid, own = self.tokens.encoder, self.pretrained.encoder.grids[-1], self.pretrained.preprocessing.fs
        both = zip(self._kept or maps, maps, self.counts, strict=True)
        joined = [torch.cat([old, new], -1) if self._kept else new for old, new, _ in both]
        # One embedding a hop: the tokens of the last `span` s, fewer at the start.
        self._kept = [each[..., -count:].clone() for each, count in zip(joined, self.counts, strict=True)]
        embedding = encoder.join_leads(encoder.pool(self._kept), 1)[0]
        tokens = encoder.join_leads(maps[-1], 1)[0]
        first, self._made = self._made, self._made + tokens.shape[-1]
        times: NDArray[np.float64] = np.arange(first, self._made, dtype=np.float64) * grid.stride + grid.centre
        return Hop(self._made * grid.stride / own, tokens.numpy(), times / own, embedding.numpy())

    @property
    def real_time_factor(self) -> float:
        """Seconds of signal taken for each second spent in `push`; infinite before the first."""
        return self._seen / self.fs / self._busy if self._busy else float("inf")

    @property
    def state_bytes(self) -> int:
        """Size of what it keeps between two chunks, bytes."""
        return sum(each.nbytes for each in self.state().values())

    def state(self) -> State:
        """All that the future depends on, as arrays; a copy."""
        found = {"stream.counts": np.array([self._made, self._seen, self._finished])}
        found |= {f"stream.map{i}": each.numpy() for i, each in enumerate(self._kept)}
        for part in ("conditioning", "normaliser", "tokens"):
            found |= {f"{part}.{name}": value for name, value in getattr(self, part).state().items()}
        return {name: value.copy() for name, value in found.items()}

    def restore(self, state: State) -> None:
        """Go on from a state of a stream with the same encoder and settings: bit for bit as it would have."""
        self._made, self._seen, finished = (int(n) for n in state["stream.counts"])
        self._finished = bool(finished)
        kept = sorted(name for name in state if name.startswith("stream.map"))
        self._kept = [torch.from_numpy(state[name].copy()) for name in kept]
        for part in ("conditioning", "normaliser", "tokens"):
            mine = {n.partition(".")[2]: value.copy() for n, value in state.items() if n.startswith(f"{part}.")}
            getattr(self, part).restore(mine)

    def save(self, path: str | Path) -> None:
        """Write the state and the settings to a file, whole or not at all."""
        with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
            arrays: dict[str, Any] = {"settings": np.array(json.dumps(self.settings)), **self.state()}
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | Path, ref: PretrainedEncoder | str | Path, trust: bool = False) -> StreamingEncoder:
        """Go on from a file that `save` wrote.

        CheckpointError if it belongs to another encoder.
        """
        with np.load(path, allow_pickle=False) as stored:
            state = {name: stored[name] for name in stored.files}
        settings = json.loads(str(state.pop("settings")))
        weights = settings.pop("weights")
        stream = cls(ref, **settings, trust=trust)
        if weights != stream.pretrained.weights:
            raise CheckpointError(f"{path} was saved with an encoder of weights {weights[:12]}, not this one's")
        stream.restore(state)
        return stream

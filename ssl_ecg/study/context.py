"""Beats embedded in their context, and embeddings centred by their recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint.long import embed_at
from ssl_ecg.data.progress import track
from ssl_ecg.data.windows import BeatCentred, WindowSet, labelled
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.training.embedding import embed

BATCH = 1024


def watched(batches: Iterable[Tensor], windows: WindowSet, what: str) -> Iterable[Tensor]:
    """Give on the batches of windows, with a bar of progress."""
    return track(batches, -(-len(windows) // BATCH), what)


@dataclass(frozen=True)
class Context:
    """How an encoder embeds windows, by the settings of this name that every evaluation has (`Shared`).

    Centring subtracts the median embedding of all windows of the recording, with a class or without: non-causal, since
    it reads the recording's future.
    """

    windows: Literal["cut", "context"] = "cut"
    centre: Literal["none", "record"] = "none"
    span: float = 1.0

    def check(self, task: str) -> None:
        """Refuse what a task cannot be embedded by: UserError, naming the setting."""
        if self.windows == "context" and task != "beat":
            raise UserError(f"windows=context embeds beats in their recording, and these classes are those of a {task}")
        if self.centre == "record" and task == "record":
            raise UserError("centre=record needs several windows of a recording, and each has one label here")
        if not 0 <= self.span < np.inf:
            raise UserError(f"span must be a number of seconds, not {self.span}")

    @property
    def note(self) -> str:
        """What a reader of the results must know."""
        said = f"beats embedded in their recording (tokens within {self.span:g} s)" if self.windows == "context" else ""
        centred = "embeddings less the median of their recording: non-causal" if self.centre == "record" else ""
        return "; ".join(part for part in (said, centred) if part)

    def embed(self, encoder: Encoder, windows: WindowSet, what: str) -> NDArray[np.float32]:
        """Embed windows, shape (n, D), with an encoder in evaluation mode."""
        z = self._embedded(encoder, windows, what)
        if self.centre == "record":
            store, samples = windows.store, windows.preprocessing.samples
            kind = BeatCentred(unclassified=True) if store.task == "beat" else labelled(store)
            everything = WindowSet(store, windows.preprocessing, kind.index(store, samples))
            record = windows.index.record.numpy()
            everything = everything.where(np.isin(everything.index.record.numpy(), record))
            others, theirs = self._embedded(encoder, everything, f"{what}, medians"), everything.index.record.numpy()
            for row in np.unique(record):
                z[record == row] -= np.median(others[theirs == row], axis=0)
        return z

    def _embedded(self, encoder: Encoder, windows: WindowSet, what: str) -> NDArray[np.float32]:
        if self.windows == "cut":
            return embed(encoder, watched(windows.batches(BATCH), windows, f"embedding, {what}")).numpy()
        p, record = windows.preprocessing, windows.index.record
        z = torch.empty(len(windows), encoder.dim)
        rows = record.unique()
        for row in track(rows.tolist(), len(rows), f"embedding in context, {what}"):
            mine = record == row
            x = p.normalise_record(torch.from_numpy(windows.store.signal(row)))
            z[mine] = embed_at(encoder, x, windows.index.start[mine] + p.samples // 2, self.span * p.fs)
        return z.numpy()

"""How a frozen encoder embeds windows: each by itself, or a recording as a whole, and beats in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint.long import embed_at, embed_stretches
from ssl_ecg.data.progress import bar, track
from ssl_ecg.data.windows import BeatCentred, WindowSet, labelled
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.study.recordings import whole
from ssl_ecg.training.embedding import embed

BATCH = 1024
EDGES = (-0.7, -0.3, -0.1, 0.15, 0.45, 0.9)
"""s from an R peak: where the stretches of a beat begin and end. The beat before, P, QRS, ST and T, what follows."""
COMPONENTS = 256
"""What the stretches' features are reduced to: a power of two."""
FIT_ON = 20_000
"""Windows, evenly spaced: more do not move principal components."""

_RECORDINGS = 8  # of one length, in one piece: some last half an hour

Array = NDArray[np.float32]
Windows = Literal["cut", "whole", "context", "stretches"]


def watched(batches: Iterable[Tensor], windows: WindowSet, what: str) -> Iterable[Tensor]:
    """Give on the batches of windows, with a bar of progress."""
    return track(batches, -(-len(windows) // BATCH), what)


def evenly(windows: WindowSet) -> Tensor:
    """Rows of at most 20,000 windows, evenly spaced."""
    return torch.linspace(0, len(windows) - 1, min(len(windows), FIT_ON)).round().long()


def turned(axes: Tensor) -> Tensor:
    """Turn the first axes of (D, k), as many as the largest power of two, so that all components have one variance."""
    from scipy.linalg import hadamard

    k = 2 ** (axes.shape[1].bit_length() - 1)
    return axes[:, :k] @ torch.from_numpy(hadamard(k) / k**0.5).to(axes)


@dataclass(frozen=True)
class Context:
    """How an encoder embeds windows or recordings, by the settings of this name that every evaluation has (`Shared`).

    Centring subtracts the median embedding of all windows of the recording, with a class or without: non-causal, since
    it reads the recording's future.
    """

    windows: Windows = "cut"
    centre: Literal["none", "record"] = "none"
    span: float = 1.0

    def check(self, task: str) -> None:
        """Refuse what a task cannot be embedded by: UserError, naming the setting."""
        if self.windows == "whole" and task != "record":
            raise UserError(f"windows=whole embeds recordings in one piece, and these classes are those of a {task}")
        if self.windows in ("context", "stretches") and task != "beat":
            raise UserError(
                f"windows={self.windows} embeds beats in their recording, and these classes are those of a {task}"
            )
        if self.centre == "record" and task == "record":
            raise UserError("centre=record needs several windows of a recording, and each has one label here")
        if not 0 <= self.span < np.inf:
            raise UserError(f"span must be a number of seconds, not {self.span}")

    @property
    def note(self) -> str:
        """What a reader of the results must know."""
        said = {
            "cut": "",
            "whole": "recordings embedded in one piece",
            "context": f"beats embedded in their recording (tokens within {self.span:g} s)",
            "stretches": f"beats embedded in their recording (all maps, stretches from {EDGES[0]:g} to "
            f"{EDGES[-1]:g} s, {COMPONENTS} principal components of the train beats)",
        }[self.windows]
        centred = "embeddings less the median of their recording: non-causal" if self.centre == "record" else ""
        return "; ".join(part for part in (said, centred) if part)

    def fit(self, encoder: Encoder, train: WindowSet, what: str) -> PrincipalComponents | None:
        """Find what the embeddings of beats in stretches are reduced by, from train windows; None where they are not.

        Features are divided by their standard deviations first. The components are turned by a Hadamard matrix, so that
        all have one variance and a probe, which standardises what it reads, does not make the least as loud as the
        first: that lost .06 and .12 of macro AUROC of two encoders on held-out patients of MIT-BIH's DS1
        (`experiments/beat_reading.py`). In half precision, as a head keeps it.
        """
        if self.windows != "stretches":
            return None
        z = self._in_recordings(encoder, train[evenly(train)], f"{what}, to be reduced")
        scale = z.std(axis=0) + 1e-6
        found = fit_pca(z / scale, COMPONENTS)
        mean, axes = found.mean * torch.from_numpy(scale), turned(found.axes) / torch.from_numpy(scale)[:, None]
        return PrincipalComponents(mean, (axes / axes.abs().max()).half().float())

    def embed(
        self, encoder: Encoder, windows: WindowSet, what: str, reduction: PrincipalComponents | None = None
    ) -> Array:
        """Embed windows, shape (n, D), with an encoder in evaluation mode; reduced by what was fitted, if anything."""
        z = self._embedded(encoder, windows, what, reduction)
        if self.centre == "record":
            store, samples = windows.store, windows.preprocessing.samples
            kind = BeatCentred(unclassified=True) if store.task == "beat" else labelled(store)
            everything = WindowSet(store, windows.preprocessing, kind.index(store, samples))
            record = windows.index.record.numpy()
            everything = everything.where(np.isin(everything.index.record.numpy(), record))
            others = self._embedded(encoder, everything, f"{what}, medians", reduction)
            theirs = everything.index.record.numpy()
            for row in np.unique(record):
                z[record == row] -= np.median(others[theirs == row], axis=0)
        return z

    def _embedded(
        self, encoder: Encoder, windows: WindowSet, what: str, reduction: PrincipalComponents | None
    ) -> Array:
        if self.windows == "whole":
            return self._in_one_piece(encoder, windows, what)
        if self.windows == "cut":
            return embed(encoder, watched(windows.batches(BATCH), windows, f"embedding, {what}")).numpy()
        return self._in_recordings(encoder, windows, what, reduction or (lambda z: z))

    def _in_one_piece(self, encoder: Encoder, windows: WindowSet, what: str) -> Array:
        """Embed recordings as `PretrainedEncoder` does with `whole`."""
        z = np.empty((len(windows), encoder.dim), dtype=np.float32)
        with bar(f"embedding whole recordings, {what}", len(windows)) as advance:
            for rows, x in whole(windows, _RECORDINGS):
                z[rows.numpy()] = embed(encoder, [windows.preprocessing.normalise_windows(x)]).numpy()
                advance(len(rows))
        return z

    def _in_recordings(
        self, encoder: Encoder, windows: WindowSet, what: str, then: Callable[[Array], Array] = lambda z: z
    ) -> Array:
        """What `then` makes of the embeddings of beats, recording by recording."""
        p, record = windows.preprocessing, windows.index.record
        rows = record.unique()
        found: Any = None
        for row in track(rows.tolist(), len(rows), f"embedding in context, {what}"):
            mine = (record == row).numpy()
            x = p.normalise_record(torch.from_numpy(windows.store.signal(row)))
            z = then(self._read(encoder, x, windows.index.start[mine] + p.samples // 2, p.fs).numpy())
            if found is None:
                found = np.empty((len(windows), z.shape[1]), dtype=np.float32)
            found[mine] = z
        assert found is not None
        return np.asarray(found)

    def _read(self, encoder: Encoder, x: Tensor, positions: Tensor, fs: float) -> Tensor:
        if self.windows == "context":
            return embed_at(encoder, x, positions, self.span * fs)
        return embed_stretches(encoder, x, positions, [edge * fs for edge in EDGES])

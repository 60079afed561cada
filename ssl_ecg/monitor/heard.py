"""All that was heard of a tape, in files of pieces: beats are numbered through it, and embeddings stay on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.monitor.intervals import Measured
from ssl_ecg.monitor.listen import read_part

_SAME = 0.15  # s: two peaks nearer than that, on both sides of where pieces meet, are one


class Heard:
    """The pieces of a tape.

    Args:
        files: of the pieces, in their order.
        fs: of the tape, Hz.

    Attributes:
        sample: R peaks, shape (n,).
        codes, quality: of each stretch of 10 s, of all leads of the tape, then of those the encoder reads: (C + K, s).
    """

    def __init__(self, files: Sequence[Path], fs: float) -> None:
        self._files, self._kept = list(files), list[NDArray[np.bool_]]()
        peaks, codes, quality, last = [], [], [], -np.inf
        for file in files:
            found = read_part(file, "sample", "codes", "quality")
            fresh = found["sample"] > last + _SAME * fs
            last = found["sample"][-1] if len(fresh) else last
            self._kept.append(fresh)
            peaks.append(found["sample"][fresh])
            codes.append(found["codes"])
            quality.append(found["quality"])
        self.sample: NDArray[np.int64] = np.concatenate(peaks)
        self.codes: NDArray[np.int8] = np.concatenate(codes, axis=1)
        self.quality: NDArray[np.float32] = np.concatenate(quality, axis=1)

    def intervals(self) -> Measured:
        """The intervals of all beats whose waves were found."""
        parts = [read_part(file, "qrs", "intervals") for file in self._files]
        return np.concatenate([part["qrs"] for part in parts]), np.concatenate([part["intervals"] for part in parts])

    def embeddings(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Numbers of beats and their embeddings, (n,) and (n, D), piece by piece; none whose lead cannot be read."""
        for first, file, kept in self._places():
            z = read_part(file, "embedding")["embedding"][kept]
            known = np.isfinite(z[:, 0])
            if known.any():
                yield first + np.flatnonzero(known), z[known].astype(np.float32)

    def take(self, rows: NDArray[np.int64], what: str) -> NDArray[Any]:
        """What pieces hold (`embedding` or `shape`) of beats of ascending numbers (m,), shape (m, ...)."""
        found = []
        for first, file, kept in self._places():
            low, high = np.searchsorted(rows, [first, first + int(kept.sum())])
            if high > low:
                found.append(read_part(file, what)[what][kept][rows[low:high] - first])
        return np.concatenate(found)

    def _places(self) -> Iterator[tuple[int, Path, NDArray[np.bool_]]]:
        first = 0
        for file, kept in zip(self._files, self._kept, strict=True):
            yield first, file, kept
            first += int(kept.sum())

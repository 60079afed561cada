"""The first pass over a tape, piece by piece: R peaks, the embedding and the shape of each beat, signal quality."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.long import in_rows
from ssl_ecg.data.r_peaks import detect_r_peaks
from ssl_ecg.data.tape import Tape
from ssl_ecg.errors import CheckpointError
from ssl_ecg.files import replacing
from ssl_ecg.leads import pick
from ssl_ecg.monitor.intervals import Measured, measure, none
from ssl_ecg.monitor.quality import STRETCH, judge, runs, usable
from ssl_ecg.study.head import Head
from ssl_ecg.waves import Head as WaveHead
from ssl_ecg.waves.features import condition
from ssl_ecg.waves.find import find_waves, waves_of

PIECE = 600.0
"""s: what is read at a time. A multiple of what quality is judged of."""
_AROUND = 20.0  # s that are read before and after a piece: for the detector's threshold, and an encoder's memory
_SHORTEST = 2.0  # s of readable signal that are worth encoding
SHAPE = (-0.3, 0.5)
"""s around an R peak that a beat's shape is kept of."""
SHAPE_FS = 100.0
"""Hz."""

_Job = tuple[Path, tuple[int, int]]


@dataclass(frozen=True)
class Reader:
    """What reads a tape: an encoder, the leads it reads of it, and the head that its beats are embedded for.

    `waves` finds P, QRS and T, where there is one.
    """

    encoder: PretrainedEncoder
    leads: tuple[str, ...]
    head: Head
    waves: WaveHead | None = None

    def pick(self, x: NDArray[np.float32], leads: tuple[str, ...]) -> NDArray[np.float32]:
        """The encoder's leads of a signal (C, T)."""
        return np.asarray(pick(x, leads, self.leads))

    def read(self, x: NDArray[np.float32], peaks: NDArray[np.int64], fs: float) -> tuple[NDArray[np.float32], Measured]:
        """Embed the beats (n,) of picked leads (K, T) in their context, shape (n, D), and measure their waves.

        Leads are encoded once, where beats and waves are read of the same.
        """
        p = self.encoder.preprocessing
        if self.waves is None or self.waves.causal or self.head.reduction is None:
            z = self.head.embed(self.encoder, x, peaks, fs, self.leads if p.any_leads else p.leads)
            found = [] if self.waves is None else find_waves(self.encoder, self.waves, x, fs)
        else:
            leads = condition(p, torch.from_numpy(x), fs)
            encoded = list(in_rows(self.encoder.encoder, leads, p.fs))
            z = self.head.read(self.encoder, leads, peaks, fs, encoded)
            found = waves_of(self.encoder, self.waves, leads, encoded)
        return z, measure(found, x.shape[1], fs)


@dataclass(frozen=True)
class Piece:
    """What was heard in a piece.

    Attributes:
        sample: R peaks in the tape, shape (n,).
        embedding: of each beat, float16, shape (n, D); NaN where its lead could not be read.
        shape: of each beat, 0.3 s before to 0.5 s after its R peak at 100 Hz, in uV, shape (n, 80).
        codes, quality: of each stretch of 10 s, of all leads of the tape, then of those the encoder reads: (C + K, s).
        qrs, intervals: QRS complexes whose waves were found, and their intervals: see `intervals.Measured`.
    """

    sample: NDArray[np.int64]
    embedding: NDArray[np.float16]
    shape: NDArray[np.int16]
    codes: NDArray[np.int8]
    quality: NDArray[np.float32]
    qrs: NDArray[np.int64]
    intervals: NDArray[np.float32]

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{each.name: getattr(self, each.name) for each in fields(self)})


def read_part(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """Read some of what a piece holds; CheckpointError if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except Exception as error:  # noqa: BLE001  (as many kinds as there are ways to damage a file)
        raise CheckpointError(f"{path} is damaged ({error}): remove it, and it is made again") from None


def listen(tape: Tape, reader: Reader, folder: Path, advance: Callable[[int], None]) -> list[Path]:
    """Hear a whole tape: one file a piece in a folder. Those that are there are not made again.

    `advance` is told how many pieces more are done. DataError for samples that cannot be read.
    """
    spans = pieces_of(tape)
    files = [folder / f"{number:06d}.npz" for number in range(len(spans))]
    todo = [(file, span) for file, span in zip(files, spans, strict=True) if not file.exists()]
    advance(len(files) - len(todo))

    def make(job: _Job) -> None:
        file, span = job
        hear(tape, reader, *span).write(file)

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for _ in _in_turn(pool, make, todo):
            advance(1)
    return files


def pieces_of(tape: Tape) -> list[tuple[int, int]]:
    """First sample of each piece, and the one after its last; a short rest belongs to the last piece."""
    size = round(PIECE * tape.fs)
    starts = [size * number for number in range(max(1, round(tape.samples / size)))]
    return list(zip(starts, [*starts[1:], tape.samples], strict=True))


def _in_turn(pool: ThreadPoolExecutor, make: Callable[[_Job], None], jobs: list[_Job]) -> Iterator[None]:
    """Do jobs, a few of them at once; the first failure stops all that have not begun."""
    futures = [pool.submit(make, job) for job in jobs]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def hear(tape: Tape, reader: Reader, start: int, stop: int) -> Piece:
    """Hear one piece of a tape, from sample `start` to before `stop`, with some seconds around it."""
    stretch = round(STRETCH * tape.fs)
    first = max(0, start - round(_AROUND / STRETCH) * stretch)
    last = min(tape.samples, stop + round(_AROUND / STRETCH) * stretch)
    x = tape.read(first, last)
    picked = reader.pick(x, tape.leads)
    all_codes, quality = judge(np.concatenate([x, picked]), tape.fs)
    good = usable(all_codes, tape.fs, x.shape[1])
    x, picked = _filled(x), _filled(picked)
    peaks = find_peaks(x, good[: len(x)], tape.fs)
    measured = [none()]
    embedding = np.full((len(peaks), reader.head.dim), np.nan, dtype=np.float16)
    for begin, end in runs(np.all(good[len(x) :], axis=0)):
        mine = (peaks >= begin) & (peaks < end)
        if mine.any() and end - begin >= _SHORTEST * tape.fs:
            embedding[mine], (qrs, values) = reader.read(picked[:, begin:end], peaks[mine] - begin, tape.fs)
            measured.append((qrs + begin + first, values))
    inside = (peaks + first >= start) & (peaks + first < stop)
    before = (start - first) // stretch
    here = slice(before, None if stop == tape.samples else before + (stop - start) // stretch)
    shape = _shapes(picked[0], peaks[inside], tape.fs)
    qrs, intervals = (np.concatenate(parts) for parts in zip(*measured, strict=True))
    mine = (qrs >= start) & (qrs < stop)
    of_beats = peaks[inside] + first, embedding[inside], shape
    return Piece(*of_beats, all_codes[:, here], quality[:, here], qrs[mine], intervals[mine])


def find_peaks(x: NDArray[np.float32], good: NDArray[np.bool_], fs: float) -> NDArray[np.int64]:
    """Find R peaks in those leads of a signal (C, T) that are good (C, T), each in units of its typical height."""
    scaled = np.zeros_like(x)
    for row, lead in enumerate(x):
        if good[row].any():
            level = lead - np.median(lead[good[row]])
            spread = np.percentile(np.abs(level[good[row]]), 99)
            scaled[row] = np.where(good[row], level / max(float(spread), 1e-3), 0)
    peaks, anywhere = detect_r_peaks(scaled, fs), np.asarray(good.any(axis=0))
    return peaks[anywhere[peaks]]


def _filled(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same with a straight line where samples are missing; zeros where all are."""
    if np.isfinite(x).all():
        return x
    x, at = x.copy(), np.arange(x.shape[1])
    for lead in x:
        there = np.isfinite(lead)
        lead[~there] = np.interp(at[~there], at[there], lead[there]) if there.any() else 0
    return x


def _shapes(lead: NDArray[np.float32], peaks: NDArray[np.int64], fs: float) -> NDArray[np.int16]:
    """Shape of each beat of a lead in mV: shape (n, 80), uV from the level before the QRS complex."""
    steps = np.arange(round(SHAPE[0] * SHAPE_FS), round(SHAPE[1] * SHAPE_FS)) / SHAPE_FS
    at = peaks[:, None] + steps * fs
    found = np.interp(at, np.arange(len(lead)), lead)
    level = np.median(found[:, :25], axis=1, keepdims=True)
    return np.clip(np.rint(1000 * (found - level)), -32767, 32767).astype(np.int16)

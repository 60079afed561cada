"""The second pass: what each beat of a tape is, from what was heard piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.tape import Tape
from ssl_ecg.errors import DataError
from ssl_ecg.monitor.heard import Heard
from ssl_ecg.monitor.quality import GOOD, NAMES, STRETCH
from ssl_ecg.study.head import Head
from ssl_ecg.study.rhythm import rr_features

ENROL = 60.0
"""s of a tape that tell what is usual for this patient, wherever it can first be read."""
_NEIGHBOURS = 5
_FEWEST = 8  # beats to know a patient by


@dataclass(frozen=True)
class Day:
    """A tape, beat by beat and stretch by stretch.

    Attributes:
        name, fs, samples, leads: of the tape.
        read: names of the leads the encoder read.
        classes: of the head.
        sample: R peaks, shape (n,).
        rr: s since the beat before, NaN where there is none or something between could not be read.
        quality: 0 to 1, of the clearest lead at the beat.
        p: probability of each class, shape (n, K); NaN where the lead could not be read.
        label: number of the class, -1 for none.
        unusual: distance from the patient's own first minute, in units of what is usual within it; NaN if unknown.
        abnormal: distance from normal patients' beats, 1 is more than 95 of 100 of those; NaN if unknown.
        codes, clear: code and quality of each stretch of 10 s of each lead of the tape, shape (C, s).
        notes: what is odd.
    """

    name: str
    fs: float
    samples: int
    leads: tuple[str, ...]
    read: tuple[str, ...]
    classes: tuple[str, ...]
    sample: NDArray[np.int64]
    rr: NDArray[np.float64]
    quality: NDArray[np.float32]
    p: NDArray[np.float32]
    label: NDArray[np.int8]
    unusual: NDArray[np.float32]
    abnormal: NDArray[np.float32]
    codes: NDArray[np.int8]
    clear: NDArray[np.float32]
    notes: tuple[str, ...]

    @property
    def time(self) -> NDArray[np.float64]:
        """Of each beat, s from the start."""
        return np.asarray(self.sample / self.fs)

    @property
    def seconds(self) -> float:
        """How long the tape lasts."""
        return self.samples / self.fs

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which stretches of 10 s can be read in some lead, shape (s,)."""
        return np.asarray(np.any(self.codes == GOOD, axis=0))

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of the class each beat was given, shape (n,); NaN for none."""
        rows = np.arange(len(self.label))
        return np.where(self.label >= 0, self.p[rows, np.maximum(self.label, 0)], np.nan).astype(np.float32)

    def of(self, name: str) -> NDArray[np.bool_]:
        """Which beats are of a class."""
        return np.asarray(self.label == self.classes.index(name) if name in self.classes else self.label == -2)


def judge(tape: Tape, heard: Heard, head: Head, read: tuple[str, ...], notes: tuple[str, ...] = ()) -> Day:
    """Judge every beat of a tape from what was heard of it; embeddings are read a piece at a time.

    DataError where no beat was found.
    """
    sample, count = heard.sample, len(tape.leads)
    codes, clear = heard.codes[:count], heard.quality[:count]
    if not len(sample):
        raise DataError(_why_none(codes))
    stretch = np.minimum(sample // round(STRETCH * tape.fs), codes.shape[1] - 1)
    parts = unbroken(stretch, np.asarray(np.any(codes == GOOD, axis=0)))
    rr = np.concatenate([np.append(np.nan, np.diff(sample[part])) for part in parts]) / tape.fs
    rhythm = np.concatenate([rr_features(sample[part], tape.fs, future=head.future) for part in parts])
    p, unusual, abnormal = _scored(heard, head, rhythm, sample / tape.fs)
    known = np.asarray(np.isfinite(p).all(axis=1))
    label = np.where(known, np.where(known[:, None], p, 0).argmax(axis=1), -1).astype(np.int8)
    return Day(
        name=tape.name,
        fs=tape.fs,
        samples=tape.samples,
        leads=tape.leads,
        read=read,
        classes=head.classes,
        sample=sample,
        rr=rr,
        quality=np.asarray(clear.max(axis=0))[stretch],
        p=p,
        label=label,
        unusual=unusual,
        abnormal=abnormal,
        codes=codes,
        clear=clear,
        notes=notes,
    )


def unbroken(stretch: NDArray[np.int64], readable: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Part beats, given by the stretches they lie in, (n,), at stretches that cannot be read: rows of each part."""
    lost = np.cumsum(~readable)
    breaks = np.flatnonzero(lost[stretch[1:]] > lost[stretch[:-1]]) + 1
    return np.split(np.arange(len(stretch)), breaks)


def _scored(
    heard: Heard, head: Head, rhythm: NDArray[np.float32], time: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities of the classes, and how unusual and abnormal each beat is."""
    p = np.full((len(time), len(head.classes)), np.nan, dtype=np.float32)
    unusual, abnormal = (np.full(len(time), np.nan, dtype=np.float32) for _ in range(2))
    own = _Own(head)
    for rows, z in heard.embeddings():
        p[rows] = head.posterior(z, rhythm[rows])
        if head.normal is not None:
            abnormal[rows] = head.normal.score(z)
        unusual[rows] = own.score(z, time[rows])
    return p, unusual, abnormal


class _Own:
    """The patient's first minute, and how far beats are from it, in units of the spread over the head's patients."""

    def __init__(self, head: Head) -> None:
        self._mean, self._scale = head.probe.mean[: head.dim], head.probe.scale[: head.dim]
        self._enrolled: torch.Tensor | None = None
        self._usual = np.nan

    def score(self, z: NDArray[np.float32], time: NDArray[np.float64]) -> NDArray[np.float32]:
        """Score beats (n, D) at times (n,), s; those of the first minute that is given are enrolled."""
        x = torch.from_numpy((z - self._mean) / self._scale)
        if self._enrolled is None:
            first = x[torch.from_numpy(time <= time[0] + ENROL)]
            if len(first) < _FEWEST:
                return np.full(len(z), np.nan, dtype=np.float32)
            self._enrolled, self._usual = first, float(_nearest(first, first, 1).median())
        return np.asarray((_nearest(x, self._enrolled) / max(self._usual, 1e-6)).numpy())


def _nearest(x: torch.Tensor, among: torch.Tensor, besides: int = 0) -> torch.Tensor:
    """Mean distance of x (n, D) to the five nearest of others (m, D), `besides` some, shape (n,)."""
    return torch.cdist(x, among).topk(_NEIGHBOURS + besides, largest=False).values[:, besides:].mean(1)


def _why_none(codes: NDArray[np.int8]) -> str:
    kinds = np.bincount(codes.ravel(), minlength=len(NAMES))
    return f"no beat was found: {', '.join(f'{NAMES[i]} {n / kinds.sum():.0%}' for i, n in enumerate(kinds) if n)}"

"""A labelled data set as one encoder sees it, ready to be evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.source import Source
from ssl_ecg.data.store import Store
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.data.windows import report_left_out
from ssl_ecg.study.benchmark import Labels
from ssl_ecg.study.guard import (
    labelled_sides,
    labelled_whole,
    seen_by,
    setting_of,
    taught_by,
    unseen_by,
    validation_of,
)
from ssl_ecg.study.rhythm import rr_features


@dataclass(frozen=True)
class Study:
    """One encoder, one data set, and its two sides.

    Attributes:
        encoder: the frozen encoder with its preprocessing.
        data: the source.
        store: its prepared recordings.
        train: labelled windows of the train and val patients, to fit on.
        test: labelled windows of the test patients, to score once.
    """

    encoder: PretrainedEncoder
    data: Source
    store: Store
    train: WindowSet
    test: WindowSet

    @property
    def name(self) -> str:
        """What the data set is called."""
        return type(self.data).__name__

    @cached_property
    def validation(self) -> NDArray[np.bool_] | None:
        """Which train windows are of the data set's own validation split, shape (n,); None without one."""
        return validation_of(self.train) if self.data.multilabel else None

    @cached_property
    def judged(self) -> NDArray[np.bool_] | None:
        """Which train windows settings of this encoder are judged by, shape (n,); None for all.

        An encoder embeds the patients it was pretrained on better than others, so they would say that a weak
        penalty is enough: those judge whom it has not seen, where there are five.
        """
        return unseen_by(self.encoder, self.train, self.validation)

    @cached_property
    def seen(self) -> list[str]:
        """The test patients who were in pretraining, unlabelled."""
        return seen_by(self.encoder, self.test)

    @cached_property
    def taught(self) -> list[str]:
        """The train patients by whose labels the encoder was fine-tuned."""
        return taught_by(self.encoder, self.train)

    @property
    def setting(self) -> str:
        """Inductive or transductive, in words, and what else the encoder or the protocol knew before."""
        return setting_of(self.seen, self.data, len(self.taught))

    @cached_property
    def rhythm(self) -> NDArray[np.float32] | None:
        """Causal RR features of every beat of the store, in its order, shape (beats, 4); None for other tasks."""
        return rhythm_of(self.store) if self.data.task == "beat" else None

    def labels(self, side: WindowSet) -> Labels:
        """Classes, patients and recordings of one side."""
        return Labels(side.targets if self.data.multilabel else side.label, side.patient, side.record)


def open_study(checkpoint: str | Path, data: Source, cache: str | None = None) -> Study:
    """Load an encoder, prepare a data set as it wants it, and part train from test.

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.

    Raises:
        CheckpointError: for a checkpoint that cannot be used.
        DataError: if the data cannot be read, a side is empty, a patient is on both, or the labels of a test patient
            taught the encoder.
    """
    encoder, store = _opened(checkpoint, data, cache)
    return Study(encoder, data, store, *labelled_sides(store, data, encoder))


def open_whole(checkpoint: str | Path, data: Source, cache: str | None = None) -> Study:
    """The same without the data set's split, for what parts the patients itself or not at all.

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.

    Returns:
        A study that has all labelled windows as `train` and as `test`.

    Raises:
        CheckpointError: for a checkpoint that cannot be used.
        DataError: if the data cannot be read, nothing is labelled, or somebody's labels taught the encoder.
    """
    encoder, store = _opened(checkpoint, data, cache)
    everything = labelled_whole(store, data, encoder)
    return Study(encoder, data, store, everything, everything)


def _opened(checkpoint: str | Path, data: Source, cache: str | None) -> tuple[PretrainedEncoder, Store]:
    encoder = load_encoder(checkpoint)
    store = build(data, encoder.preprocessing, cache, workers=0, progress=f"preparing {type(data).__name__}")
    report_left_out(store, encoder.preprocessing.samples)
    return encoder, store


def rhythm_of(store: Store) -> NDArray[np.float32]:
    """Causal RR features of every beat of a store, in its order: shape (beats, 4)."""
    fs = store.records["source_fs"].to_numpy()
    record, peaks = store.beats["record"].to_numpy(), store.beats["r_peak"].to_numpy()
    ends = np.flatnonzero(np.diff(record)) + 1
    return np.concatenate(
        [rr_features(part, fs[row]) for row, part in zip(record[np.r_[0, ends]], np.split(peaks, ends), strict=True)]
    )

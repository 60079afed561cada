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
from ssl_ecg.data.windows import WindowSet, report_left_out
from ssl_ecg.errors import DataError
from ssl_ecg.study import guard
from ssl_ecg.study.benchmark import Labels


@dataclass(frozen=True)
class Study:
    """One encoder, frozen, with its preprocessing, one prepared data set, and its two labelled sides.

    `train` has the windows of the train and val patients, to fit on; `test` those of the test patients, to score once.
    `note` says how windows are embedded, where not each by itself.
    """

    encoder: PretrainedEncoder
    data: Source
    store: Store
    train: WindowSet
    test: WindowSet
    note: str = ""

    @property
    def name(self) -> str:
        """What the data set is called."""
        return type(self.data).__name__

    @cached_property
    def validation(self) -> NDArray[np.bool_] | None:
        """Which train windows are of the data set's own validation split, shape (n,); None without one."""
        return guard.validation_of(self.train) if self.data.multilabel else None

    @cached_property
    def judged(self) -> NDArray[np.bool_] | None:
        """Which train windows hyper-parameters are chosen on for this encoder, shape (n,); None for all.

        Those of patients outside the pretraining set, where there are five: an encoder embeds its pretraining patients
        better than others, so that they would favour too weak a penalty.
        """
        return guard.unseen_by(self.encoder, self.train, self.validation)

    @cached_property
    def seen(self) -> list[str]:
        """The test patients who are in the pretraining set."""
        return guard.seen_by(self.encoder, self.test)

    @cached_property
    def taught(self) -> list[str]:
        """The train patients on whose labels the encoder was fine-tuned."""
        patients = sorted(set(self.train.patient.tolist()))
        return self.encoder.taught_by(self.store.cohort, patients, self.store.meta["covers"])

    @property
    def setting(self) -> str:
        """Inductive or transductive, in words, and what else the encoder or the protocol knew before."""
        known = guard.setting_of(self.seen, self.data, len(self.taught))
        return f"{known}; {self.note}" if self.note else known

    def labels(self, side: WindowSet) -> Labels:
        """Classes, patients and recordings of one side."""
        return Labels(side.targets if self.data.multilabel else side.label, side.patient, side.record)


def open_study(checkpoint: str | Path, data: Source, cache: str | None = None, trust: bool = False) -> Study:
    """Load an encoder, prepare a data set with its preprocessing, and split train from test.

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.

    Raises:
        CheckpointError: for a checkpoint that cannot be used.
        DataError: if the data cannot be read, a side is empty, a patient is on both, or the encoder was fine-tuned on
            the labels of a test patient.
    """
    encoder, store = _opened(checkpoint, data, cache, trust)
    return Study(encoder, data, store, *guard.labelled_sides(store, data, encoder))


def open_whole(checkpoint: str | Path, data: Source, cache: str | None = None, trust: bool = False) -> Study:
    """Load an encoder and prepare a data set without its split, for what splits the patients itself or not at all.

    Takes what `open_study` takes, and gives a study that has all labelled windows as `train` and as `test`.

    Raises:
        CheckpointError: for a checkpoint that cannot be used.
        DataError: if the data cannot be read, nothing is labelled, or the encoder was fine-tuned on somebody's labels.
    """
    encoder, store = _opened(checkpoint, data, cache, trust)
    everything = guard.labelled_windows(store, encoder)
    if not len(everything):
        raise DataError(f"{type(data).__name__} has no labelled windows")
    guard.check_untaught(encoder, store.cohort, everything, data)
    return Study(encoder, data, store, everything, everything)


def check_few_labels(study: Study) -> None:
    """Refuse to score an encoder with few labels if it was fine-tuned on labels of the train patients.

    Raises:
        DataError: if so: no leak into the test side, but more labels than the fraction says.
    """
    if taught := study.taught:
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} train patients of {study.name}, so a fraction "
            "of the labels would be more than it says; use the checkpoint that was fine-tuned, or fraction 1 alone"
        )


def _opened(checkpoint: str | Path, data: Source, cache: str | None, trust: bool) -> tuple[PretrainedEncoder, Store]:
    encoder = load_encoder(checkpoint, trust)
    store = build(data, encoder.preprocessing, cache, workers=0, progress=f"preparing {type(data).__name__}")
    report_left_out(store, encoder.preprocessing.samples)
    return encoder, store

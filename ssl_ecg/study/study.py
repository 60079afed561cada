"""A labelled data set as one encoder sees it, ready to be evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.build import all_leads, build
from ssl_ecg.data.source import Source
from ssl_ecg.data.splits import check_disjoint
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowSet, labelled, report_left_out
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import canonical, pick
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
        return validation_of(self.train) if self.data.multilabel else None

    @cached_property
    def judged(self) -> NDArray[np.bool_] | None:
        """Which train windows hyper-parameters are chosen on for this encoder, shape (n,); None for all.

        Those of patients outside the pretraining set, where there are five: an encoder embeds its pretraining patients
        better than others, so that they would favour too weak a penalty.
        """
        return unseen_by(self.encoder, self.train, self.validation)

    @cached_property
    def seen(self) -> list[str]:
        """Test patients in the pretraining set."""
        return seen_by(self.encoder, self.test)

    @cached_property
    def taught(self) -> list[str]:
        """Train patients on whose labels the encoder was fine-tuned."""
        patients = sorted(set(self.train.patient.tolist()))
        return self.encoder.taught_by(self.store.cohort, patients, self.store.meta["covers"])

    @property
    def setting(self) -> str:
        """Inductive or transductive, in words, and what else the encoder or the protocol knew before."""
        known = setting_of(self.seen, self.data, len(self.taught))
        return f"{known}; {self.note}" if self.note else known

    def labels(self, side: WindowSet) -> Labels:
        """Classes, patients and recordings of one side."""
        return Labels(side.targets if self.data.multilabel else side.label, side.patient, side.record)


def open_study(
    checkpoint: str | Path, data: Source, cache: str | None = None, trust: bool = False, lead: str | None = None
) -> Study:
    """Load an encoder, prepare a data set with its preprocessing, and split train from test.

    `cache`, `trust` and `lead` are those of `Shared`. CheckpointError for a checkpoint that cannot be used; DataError
    if the data cannot be read, a side is empty, a patient is on both, or the encoder was fine-tuned on a test patient's
    label.
    """
    encoder, store, note = _opened(checkpoint, data, cache, trust, lead)
    return Study(encoder, data, store, *labelled_sides(store, data, encoder), note)


def open_whole(
    checkpoint: str | Path, data: Source, cache: str | None = None, trust: bool = False, lead: str | None = None
) -> Study:
    """As `open_study`, without the data set's split: all labelled windows are `train`, and `test`.

    For what splits the patients itself, or not at all. DataError too if nothing is labelled, or the encoder was
    fine-tuned on anybody's labels.
    """
    encoder, store, note = _opened(checkpoint, data, cache, trust, lead)
    everything = labelled_windows(store, encoder)
    if not len(everything):
        raise DataError(f"{type(data).__name__} has no labelled windows")
    check_untaught(encoder, store.cohort, everything, data)
    return Study(encoder, data, store, everything, everything, note)


def check_few_labels(study: Study) -> None:
    """Refuse, by a DataError, to score an encoder with few labels if it was fine-tuned on those of train patients.

    That leaks nothing into the test side, but would be more labels than the fraction says.
    """
    if taught := study.taught:
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} train patients of {study.name}, so a fraction "
            "of the labels would be more than it says; use the checkpoint that was fine-tuned, or fraction 1 alone"
        )


def _opened(
    checkpoint: str | Path, data: Source, cache: str | None, trust: bool, lead: str | None
) -> tuple[PretrainedEncoder, Store, str]:
    encoder = load_encoder(checkpoint, trust)
    note = _read_lead(encoder, data, lead) if lead is not None else ""
    preprocessing = all_leads(data, encoder.preprocessing)
    try:
        store = build(data, preprocessing, cache, workers=0, progress=f"preparing {type(data).__name__}")
    except DataError as error:
        if lead is None and len(preprocessing.leads) == 1 and not _has(data.leads, preprocessing.leads):
            raise DataError(f"{error}\nAn encoder of one lead may read another one: --lead II, say.") from None
        raise
    report_left_out(store, encoder.preprocessing.samples)
    return encoder, store, note


def _read_lead(encoder: PretrainedEncoder, data: Source, lead: str) -> str:
    """Let an encoder of one lead read another one where the data set lacks its own, or one of any lead read one alone.

    Says so, or "" where the data set has the encoder's own. UserError for an encoder of several leads.
    """
    own, wanted = encoder.preprocessing.leads, canonical(lead)
    if len(own) > 1:
        raise UserError(f"lead is for encoders of one lead, and this one reads {', '.join(own)}: leave it out")
    data.ensure()  # before it, some do not know their leads
    any_lead = encoder.preprocessing.any_leads
    if not any_lead and _has(data.leads, own):
        return ""
    encoder.preprocessing = replace(encoder.preprocessing, leads=(wanted,))
    return f"an encoder of {'any lead' if any_lead else f'lead {own[0]}'} reads lead {wanted}"


def _has(leads: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether recordings of these leads give the wanted ones, or what they follow from."""
    try:
        pick(np.zeros((len(leads), 1), dtype=np.float32), leads, wanted)
    except ValueError:
        return False
    return True


_JUDGES = 5  # patients, at least, to choose hyper-parameters on: as many as there are folds


def labelled_windows(store: Store, encoder: PretrainedEncoder) -> WindowSet:
    """Find all labelled windows of a store: those that belong to one of its classes or more."""
    preprocessing = encoder.preprocessing.on(store.leads)
    index = labelled(store).index(store, preprocessing.samples)
    everything = WindowSet(store, preprocessing, index)
    return everything.where(np.asarray(everything.targets.any(axis=1)))


def labelled_sides(store: Store, data: Source, encoder: PretrainedEncoder) -> tuple[WindowSet, WindowSet]:
    """Split the labelled windows: those to fit on (train and val patients) and those to score on (test patients).

    DataError if a side is empty, a patient is on both without the protocol saying so, or the encoder was fine-tuned on
    the labels of the test patients.
    """
    everything = labelled_windows(store, encoder)
    test = everything.split == "test"
    sides = everything.where(~test), everything.where(test)
    for side, what in zip(sides, ("train", "test"), strict=True):
        if not len(side):
            raise DataError(f"{type(data).__name__} has no labelled windows in its {what} split")
    train, scored = (side.patient.tolist() for side in sides)
    check_disjoint(train, scored, "train and test", frozenset(data.shared_patients))
    check_untaught(encoder, store.cohort, sides[1], data)
    return sides


def check_untaught(encoder: PretrainedEncoder, cohort: str, scored: WindowSet, data: Source) -> None:
    """Refuse to score an encoder on patients on whose labels it was fine-tuned: DataError, naming them."""
    patients = sorted(set(scored.patient.tolist()) - set(data.shared_patients))
    if taught := encoder.taught_by(cohort, patients, scored.store.meta["covers"]):
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} of the {len(patients)} patients to score it "
            f"on, which would leak: {', '.join(taught[:5])}{' ...' if len(taught) > 5 else ''}; use the checkpoint "
            "that was fine-tuned, or data it has not seen"
        )


def validation_of(train: WindowSet) -> NDArray[np.bool_] | None:
    """Which train windows are of the data set's validation split, shape (n,); None if it has no such split."""
    mine = train.split == "val"
    return mine if mine.any() else None


def seen_by(encoder: PretrainedEncoder, windows: WindowSet) -> list[str]:
    """Find the patients of these windows who are, or may be, in the pretraining set."""
    store = windows.store
    return encoder.saw(store.cohort, sorted(set(windows.patient.tolist())), store.meta["covers"])


def unseen_by(
    encoder: PretrainedEncoder, train: WindowSet, validation: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Find the train windows of patients outside the pretraining set, shape (n,); None for under five such patients.

    Where there is a validation split, only its patients count.
    """
    judges = train if validation is None else train.where(validation)
    unseen = sorted(set(judges.patient.tolist()) - set(seen_by(encoder, judges)))
    return np.isin(train.patient, unseen) if len(unseen) >= _JUDGES else None


def setting_of(seen: list[str], data: Source, taught: int = 0) -> str:
    """Say whether a result is inductive or transductive, and what else the encoder or the protocol knew before.

    `seen` are the test patients who are in the pretraining set, `taught` is the number of train patients on whose
    labels the encoder was fine-tuned.
    """
    records = ", ".join(record for records in data.shared_patients.values() for record in records)
    if set(seen) - set(data.shared_patients):
        said = [f"transductive: {len(seen)} test patient(s) were in pretraining"]
    else:
        said = ["inductive: no test patient was in pretraining"]
        said[0] += f", but for the subject of records {records}" if seen else ""
    if records:
        said.append(f"the protocol has the subject of records {records} on both sides")
    if not data.patients_known:
        said.append("whose the recordings are is not known: each counts as a patient of its own")
    if taught:
        said.append(f"its encoder was fine-tuned on the labels of {taught} train patients")
    return "; ".join(said)

"""Whose labels are learned from, and who chooses: two parts of a study's train side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import DataError
from ssl_ecg.study.guard import unseen_by, validation_of
from ssl_ecg.study.label_draws import label_draws
from ssl_ecg.study.study import Study


@dataclass(frozen=True)
class Sides:
    """Two parts of a study's train side, nobody in both: one to learn from, one whose patients choose the epoch."""

    learn: WindowSet
    validation: WindowSet

    @cached_property
    def learners(self) -> list[str]:
        """Patients in `learn`."""
        return sorted(set(self.learn.patient.tolist()))

    @cached_property
    def judges(self) -> list[str]:
        """Patients in `validation`."""
        return sorted(set(self.validation.patient.tolist()))


def label_sides(study: Study, fraction: float = 1.0, hold_out: float = 0.2, seed: int = 0) -> Sides:
    """Draw the patients to learn from, a fraction of the train patients, and find those who choose the epoch.

    The latter are the data set's validation split. Without one, a share `hold_out` of the train patients is held out:
    of those whom the encoder has not seen in pretraining where there are five, since it embeds the others better. The
    fraction is of the others. DataError if no class can be learned, or judged.
    """
    train = study.train
    judge = validation_of(train)
    if judge is None:
        candidates = unseen_by(study.encoder, train)
        candidates = np.ones(len(train), dtype=np.bool_) if candidates is None else candidates
        share = hold_out * len(np.unique(train.patient)) / len(np.unique(train.patient[candidates]))
        held = hold_out_patients(train.patient[candidates], train.label[candidates], min(share, 0.5), seed)
        judge = np.isin(train.patient, list(held))
    rest = train.where(~judge)
    (draw,) = label_draws(rest.patient, rest.targets, [fraction], [seed])
    sides = Sides(rest.where(draw.rows), train.where(judge))
    check_disjoint(sides.learners, sides.judges, "the patients learned from and those who choose the epoch")
    for side, what in ((sides.learn, "learned"), (sides.validation, "judged")):
        if not (side.targets.any(axis=0) & ~side.targets.all(axis=0)).any():
            raise DataError(
                f"no class can be {what}: all {len(side)} windows of {len(set(side.patient.tolist()))} patient(s) are "
                "alike; give more patients, or a larger fraction"
            )
    return sides

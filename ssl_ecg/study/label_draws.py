"""Draws of a share of the labels: whole patients, stratified by class, seeded, and each inside the larger ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.metrics.scores import check_patients, check_targets
from ssl_ecg.study.study import Study, unseen_by, validation_of


@dataclass(frozen=True, slots=True)
class Draw:
    """Whose labels are known: those of a fraction of the patients, in `rows` (n,); seed 0 where all are drawn."""

    fraction: float
    seed: int
    rows: NDArray[np.bool_]


def label_draws(
    patients: NDArray[Any] | Sequence[str],
    targets: NDArray[np.bool_],
    fractions: Sequence[float],
    seeds: int | Sequence[int] = 5,
    validation: NDArray[np.bool_] | None = None,
) -> list[Draw]:
    """Draw every fraction (above 0, at most 1) of the patients with every seed: ascending by fraction, then by seed.

    `targets` (n, K) tells which classes each sample belongs to; `seeds` how many draws of each fraction, numbered from
    0, or their numbers. Where the data set has a validation split, (n,), the same fraction of its patients is drawn
    too: whoever has the labels of one patient in a hundred has no more to choose a penalty by. All patients are one
    draw, whatever the seed; at least one of each side is in every draw. What one seed draws for a fraction lies inside
    what it draws for a larger one, so a curve over fractions adds labels and exchanges none. UserError for fractions or
    a number of seeds that make no draw, or arrays that do not fit.
    """
    if not isinstance(seeds, int) and min(seeds, default=-1) < 0:
        raise UserError(f"the seed of a draw of the labels must be at least 0, not {list(seeds)}")
    shares = check_fractions(fractions, seeds if isinstance(seeds, int) else len(seeds))
    numbers = [0] if shares[0] == 1 else list(range(seeds) if isinstance(seeds, int) else seeds)
    targets = check_targets(targets, len(targets), targets.shape[-1])
    names, patient = check_patients(patients, len(targets))
    sides = [np.ones(len(targets), dtype=np.bool_)] if validation is None else [~validation, validation]
    orders = {
        seed: [_order(patient[side], targets[side], np.random.default_rng([seed, i])) for i, side in enumerate(sides)]
        for seed in numbers
    }
    found = []
    for share in shares:
        for seed in numbers if share < 1 else numbers[:1]:
            drawn = np.zeros(len(names), dtype=np.bool_)
            for order in orders[seed]:
                drawn[order[: max(1, round(share * len(order)))]] = True
            found.append(Draw(share, seed, drawn[patient]))
    return found


def check_fractions(fractions: Sequence[float], seeds: int) -> list[float]:
    """Sort the distinct fractions; UserError if there are none, or no seeds, or one is no share of the labels."""
    shares = sorted(set(map(float, fractions)))
    if not shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise UserError(f"fractions of the labels must be above 0 and at most 1, not {list(fractions)}")
    if seeds < 1:
        raise UserError(f"seeds must be at least 1, not {seeds}: each is a draw of the labels")
    return shares


def _order(patient: NDArray[np.int64], targets: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Sort the patients into the order they are drawn; the first so many of them are a draw.

    First comes a patient for each class, the commonest class first, unless one before has it: so every class that
    anybody has is in each draw of at least K patients, and a smaller one lacks the rarest. The others follow stratified
    by the rarest class they have: each stratum is spread evenly over the order, from a random start.
    """
    whose, mine = np.unique(patient, return_inverse=True)
    has = np.zeros((len(whose), targets.shape[1]), dtype=np.bool_)
    np.logical_or.at(has, mine, targets)
    common = np.argsort(-has.sum(axis=0), kind="stable")
    rarest = np.where(has.any(axis=1), has[:, common[::-1]].argmax(axis=1), -1)
    place = np.empty(len(whose))
    for stratum in np.unique(rarest):
        members = rng.permutation(np.flatnonzero(rarest == stratum))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    queue = np.argsort(place, kind="stable")
    first: list[int] = []
    for k in common:
        if has[:, k].any() and not has[first, k].any():
            first.append(int(queue[has[queue, k].argmax()]))
    rest = queue[~np.isin(queue, first)]
    return np.asarray(whose[np.concatenate([np.array(first, dtype=np.int64), rest])], dtype=np.int64)


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

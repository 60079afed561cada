"""Draws of a share of the labels: whole patients, stratified by class, seeded, and each inside the larger ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.checks import check_patients, check_targets


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

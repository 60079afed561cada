"""Folds over people: a head is fitted on some of the others, and finds the waves of those it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.progress import track
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.tuning import Tuning, tune
from ssl_ecg.waves.decoding import Durations
from ssl_ecg.waves.features import Map, System
from ssl_ecg.waves.head import Head, fit
from ssl_ecg.waves.matching import BOUNDARIES, COUNTS, TOLERANCES, Found, count
from ssl_ecg.waves.phases import UNMARKED, classes_of, segments_of

Array = NDArray[np.float64]
LONG = 2**13  # samples: longer leads are encoded one by one
FIT_ON = 24_000  # samples, drawn evenly from those of the training people


class Outcome:
    """What one system found in n leads, with heads fitted on so many people; `noise` says what was added to them.

    `counts` (n, 2, 6, 5) are those of `matching.count`, `errors` those of the hits of each of the six boundaries of
    each lead, in ms.
    """

    def __init__(self, system: str, people: int, n: int, noise: str = "") -> None:
        self.system, self.people, self.noise = system, people, noise
        self.counts: Array = np.zeros((n, len(TOLERANCES), len(BOUNDARIES), COUNTS))
        self.found: list[Found | None] = [None] * n
        self.errors: list[list[Array]] = [[] for _ in range(n)]

    def add(self, row: int, lead: Lead, found: Found) -> None:
        """Count what was found in a lead."""
        self.found[row] = found
        self.counts[row], self.errors[row] = count(lead.marked, lead.fs, found)


def maps_of(system: System, leads: Sequence[Lead]) -> list[list[Map]]:
    """The maps of every lead; of those that last as long and stand side by side, at once."""
    found: list[list[Map]] = []
    groups = [list(some) for _, some in groupby(leads, key=lambda lead: (lead.record, len(lead.x)))]
    for some in track(groups, len(groups), f"encoding, {system.name}"):
        if len(some[0].x) > LONG:
            found += [system.maps(lead.x) for lead in some]
        else:
            found += system.of_leads(torch.stack([lead.x for lead in some]))
    return found


def fit_head(maps: Sequence[Sequence[Map]], leads: Sequence[Lead], rate: float, penalty: float, seed: int) -> Head:
    """Fit a head on leads, of which at most `FIT_ON` samples are drawn; the penalty is shared by the people.

    So it stands for the same belief about the weights, however many people there are to learn from.
    """
    classes = [torch.from_numpy(classes_of(lead.marked, lead.fs, rate, len(lead.x))) for lead in leads]
    known = [(each != UNMARKED).nonzero().flatten() for each in classes]
    share = min(1.0, FIT_ON / max(1, sum(map(len, known))))
    generator = torch.Generator().manual_seed(seed)
    x, y = [], []
    for some, each, samples in zip(maps, classes, known, strict=True):
        drawn = samples[torch.rand(len(samples), generator=generator) < share]
        x.append(torch.cat([one.at(drawn) for one in some], dim=1))
        y.append(each[drawn])
    runs = [run for lead in leads for run in segments_of(lead.marked, lead.fs, rate)]
    people = len({lead.patient for lead in leads})
    return fit(torch.cat(x), torch.cat(y), Durations.learn(runs, rate), penalty / people)


def cross_validate(
    system: System,
    leads: Sequence[Lead],
    fold: Mapping[str, int],
    people: Iterable[int],
    rate: float,
    penalty: float,
    seed: int,
    noisy: Mapping[str, Sequence[Lead]] | None = None,
    tuning: Tuning | None = None,
) -> list[Outcome]:
    """Find the waves of everybody by heads of the other folds, once for every number of people to fit on.

    Those of most people find them in the `noisy` leads too, which are some of the same people, by what was added: their
    outcomes are the last. With a `tuning`, what was fitted is trained further. Of the people of the other folds, fewer
    are part of more. Systems of the same seed are fitted on the same people.
    """
    maps, outcomes = maps_of(system, leads), []
    folds, people, noisy = sorted(set(fold.values())), list(people), noisy or {}
    under = [Outcome(system.name, max(people), len(some), name) for name, some in noisy.items()]
    for number in people:
        outcome = Outcome(system.name, number, len(leads))
        for held in track(folds, len(folds), f"{system.name}, {number} people"):
            chosen = training_people(fold, held, number, seed)
            mine = [i for i, lead in enumerate(leads) if lead.patient in chosen]
            head, tuned = fit_head([maps[i] for i in mine], [leads[i] for i in mine], rate, penalty, seed), system
            if tuning is not None:
                tuned, head = tune(system, head, [leads[i] for i in mine], rate, tuning, seed)
            scored = [i for i, lead in enumerate(leads) if fold[lead.patient] == held]
            read = [maps[i] if tuned is system else tuned.maps(leads[i].x) for i in scored]
            found = head.find([head.scores(some, len(leads[i].x)) for i, some in zip(scored, read, strict=True)], rate)
            for i, each in zip(scored, found, strict=True):
                outcome.add(i, leads[i], each)
            for other, some in zip(under, noisy.values(), strict=True) if number == max(people) else ():
                scored = [i for i, lead in enumerate(some) if fold[lead.patient] == held]
                found = head.find([head.scores(tuned.maps(some[i].x), len(some[i].x)) for i in scored], rate)
                for i, each in zip(scored, found, strict=True):
                    other.add(i, some[i], each)
        outcomes.append(outcome)
    return outcomes + under


def training_people(fold: Mapping[str, int], held: int, number: int, seed: int) -> set[str]:
    """Draw so many people of the other folds."""
    others = sorted(who for who, mine in fold.items() if mine != held)
    order = np.random.default_rng([seed, held]).permutation(len(others))
    return {others[place] for place in order[:number].tolist()}

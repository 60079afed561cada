"""What `python -m ssl_ecg.delineate` shows and leaves behind: tables, tidy rows and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.delineate import openecg
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.evaluate import Outcome
from ssl_ecg.delineate.figures import by_noise, by_people, by_stage, worst_page
from ssl_ecg.metrics.bootstrap import Bootstrap, Interval, Resampled, difference
from ssl_ecg.report.results import Results, Row, differences, rows_of
from ssl_ecg.report.tables import origin, print_table
from ssl_ecg.waves.matching import BOUNDARIES, EXTRA, HITS, MISSED, scores_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
FIBRILLATION = ("Atrial fibrillation", "AFIB")
"""What recordings without P waves are labelled."""


@dataclass(frozen=True)
class Report:
    """What every system found in the leads of a data set.

    `outcomes` are those of the heads, the pretrained encoder's first; `rules` those of systems that fit nothing;
    `stages` those of single maps of the encoders, by name; `noisy` those of the lead that is scored apart, under noise.
    `lead` is scored apart; `training` is the number of people outside a fold, `predictor` the kind of head, `strides`
    the time from a token of each map to the next, ms.
    """

    data: str
    setting: str
    simulated: bool
    leads: Sequence[Lead]
    lead: str
    training: int
    outcomes: Sequence[Outcome]
    rules: Sequence[Outcome]
    stages: Sequence[Outcome]
    noisy: Sequence[Outcome]
    resamples: int
    seed: int
    predictor: str = "linear head"
    strides: Sequence[float] = ()

    @property
    def subsets(self) -> dict[str, NDArray[np.bool_]]:
        """Which leads are scored together, by name: all, the one apart, and those in atrial fibrillation."""
        names = np.array([lead.name for lead in self.leads])
        fibrillating = np.array([any(label in FIBRILLATION for label in lead.labels) for lead in self.leads])
        found = {"": np.ones(len(names), dtype=np.bool_), f"lead {self.lead}": names == self.lead}
        found["atrial fibrillation"] = fibrillating
        return {name: mine for name, mine in found.items() if mine.any()}

    def rows(self) -> list[Row]:
        """Every score of every system, its interval over people, and its difference to the untrained encoder."""
        found: list[Row] = []
        for subset, mine in self.subsets.items():
            patients = [lead.patient for lead, yes in zip(self.leads, mine, strict=True) if yes]
            if len(set(patients)) < 2:
                continue
            bootstrap = Bootstrap(patients, len(patients), self.resamples, self.seed)
            resampled = {(o.system, o.people): self._resampled(o, mine, bootstrap, subset) for o in self._all}
            for (system, people), scores in resampled.items():
                where: dict[str, Any] = {"data": self.data, "task": "waves", "system": system, "subset": subset}
                where |= {"predictor": self.predictor if people else "rules"}
                where |= {"fraction": people / self.training if people else 0.0}
                found += rows_of(scores.intervals(), **where)
                for other in (key for key in resampled if key[0] != system and key[1] in (people, 0)):
                    if system == self.outcomes[0].system and other[0] in self._compared:
                        found += differences({other[0]: difference(scores, resampled[other])}, **where)
        return found + self._noisy_rows()

    def _noisy_rows(self) -> list[Row]:
        found: list[Row] = []
        patients = [lead.patient for lead in self.leads if lead.name == self.lead]
        if not self.noisy or len(set(patients)) < 2:
            return found
        bootstrap = Bootstrap(patients, len(patients), self.resamples, self.seed)
        everything = np.ones(len(patients), dtype=np.bool_)
        resampled = {(o.noise, o.system): self._resampled(o, everything, bootstrap, o.noise) for o in self.noisy}
        for o in self.noisy:
            scores = resampled[o.noise, o.system]
            where: dict[str, Any] = {"data": self.data, "task": "waves", "system": o.system, "subset": o.noise}
            where |= {"predictor": self.predictor if o.people else "rules", "fraction": self._fraction(o)}
            found += rows_of(scores.intervals(), **where)
            for noise, other in resampled:
                if noise == o.noise and other != o.system == self.outcomes[0].system:
                    found += differences({other: difference(scores, resampled[noise, other])}, **where)
        return found

    @property
    def _all(self) -> list[Outcome]:
        return [*self.outcomes, *self.rules, *self.stages]

    @property
    def _compared(self) -> set[str]:
        return {o.system for o in (*self.outcomes, *self.rules)}

    def _resampled(self, o: Outcome, mine: NDArray[np.bool_], bootstrap: Bootstrap, subset: str) -> Resampled:
        counts = o.counts[mine]
        named = _named if subset != "atrial fibrillation" else _false_p
        values = {name: float(value) for name, value in named(counts.sum(axis=0)).items()}
        key = hash((subset, self.resamples, self.seed))
        return Resampled(values, named(bootstrap.totals(counts)), key)

    def medians(self) -> dict[str, list[float]]:
        """Median error of each boundary in the lead that is scored apart, ms, by system and people."""
        mine = np.flatnonzero([lead.name == self.lead for lead in self.leads]).tolist()
        found = {}
        for o in (*self.outcomes, *self.rules):
            each = [np.concatenate([o.errors[i][b] for i in mine]) if mine else np.zeros(0) for b in range(6)]
            found[_title(o)] = [float(np.median(some)) if len(some) else float("nan") for some in each]
        return found

    def about(self) -> dict[str, Any]:
        """What else is to be known of the results."""
        return {
            "setting": self.setting,
            "simulated": self.simulated,
            "people": len({lead.patient for lead in self.leads}),
            "leads": sorted({lead.name for lead in self.leads}),
            "fitted_on_people": sorted({o.people for o in self.outcomes}),
            "median_error_ms": self.medians(),
        }

    def show(self, checkpoint: str, rows: Sequence[Row]) -> None:
        """Print how often each system finds the boundaries, how far off it is, and how systems differ."""
        results, apart = Results("delineate", list(rows)), f"lead {self.lead}"
        for subset, columns in {
            apart: {"f1": f"mean F1, {apart}", **{f"f1_{w}_{e}": f"{w} {e}" for w, e in BOUNDARIES}},
            "": {"f1": "mean F1, all leads", "f1_150ms": "within 150 ms"},
        }.items():
            table = {}
            for o in (*self.outcomes, *self.rules):
                scores = results.scores(system=o.system, subset=subset, fraction=self._fraction(o)).get(o.system, {})
                table[_title(o)] = {
                    heading: scores[name] if name == "f1" else scores[name].value
                    for name, heading in columns.items()
                    if name in scores
                }
            if subset in self.subsets:
                print_table(table, title=f"{checkpoint}: F1 of the waves of {self.data}, {origin(self.simulated)}")
        print_table(self._errors(results, apart), title=f"errors in {apart}, ms: mean ± SD of hits, median")
        if any(o.system == openecg.NAME for o in self.rules):
            print(f"{openecg.SAW}.")
        people = len({lead.patient for lead in self.leads})
        print(
            f"Folds over {people} people, tolerances of Martinez 2004 (P 50, QRS 40, T onset 50, T offset 100 ms), "
            f"only what is marked is scored; 95 % intervals by bootstrap over people; {self.setting}."
        )
        first = self.outcomes[0]
        for o in (o for o in self.outcomes if o.system == first.system):
            where = {"system": first.system, "fraction": self._fraction(o)}
            for line in results.compared("f1", f"mean F1, {apart}, {o.people} people", subset=apart, **where):
                print(line)
        if self.noisy:
            under: dict[str, dict[str, float]] = {}
            for o in self.noisy:
                scores = results.scores(system=o.system, subset=o.noise, fraction=self._fraction(o))[o.system]
                under.setdefault(o.system, {})[o.noise] = scores["f1"].value
            print_table(under, title=f"mean F1 under noise, {apart}")
        for o in (*self.outcomes, *self.rules):
            found = results.scores(system=o.system, subset="atrial fibrillation", fraction=self._fraction(o))
            if o.people in (0, max(o.people for o in self.outcomes)) and found:
                print(f"{_title(o)}: {found[o.system]['false_p_a_beat']} false P waves a beat in atrial fibrillation")

    def _fraction(self, o: Outcome) -> float:
        return o.people / self.training if o.people else 0.0

    def _errors(self, results: Results, subset: str) -> dict[str, dict[str, str]]:
        medians = self.medians()
        table: dict[str, dict[str, str]] = {}
        for o in (*self.outcomes, *self.rules):
            scores = results.scores(system=o.system, subset=subset, fraction=self._fraction(o)).get(o.system, {})
            if o.people in (0, max(o.people for o in self.outcomes)) and scores:
                table[_title(o)] = {}
                for (wave, end), median in zip(BOUNDARIES, medians[_title(o)], strict=True):
                    mean, sd = (scores[f"{name}_ms_{wave}_{end}"].value for name in ("mean", "sd"))
                    table[_title(o)][f"{wave} {end}"] = f"{mean:+.1f} ± {sd:.1f}, {median:+.0f}"
        return table

    def figures(self, rows: Sequence[Row]) -> dict[str, Figure]:
        """By file name: F1 by the number of people, F1 of each wave by stage, and the worst cases."""
        results, apart = Results("delineate", list(rows)), f"lead {self.lead}"
        subset = apart if apart in self.subsets else ""

        def f1(o: Outcome, score: str = "f1") -> Interval:
            return results.scores(system=o.system, subset=subset, fraction=self._fraction(o))[o.system][score]

        figures = {
            "people.png": by_people({(o.system, o.people): f1(o) for o in (*self.outcomes, *self.rules)}, subset)
        }
        if self.stages:
            most = [o for o in self.outcomes if o.people == self.stages[0].people]
            found = {o.system: {w: f1(o, f"f1_{w}") for w in ("P", "QRS", "T")} for o in (*most, *self.stages)}
            figures["stages.png"] = by_stage(found, self.strides, subset)
        if self.noisy:
            largest = max(o.people for o in self.outcomes)
            clean = {o.system: f1(o) for o in (*self.outcomes, *self.rules) if o.people in (0, largest)}
            under = {(o.system, o.noise): _of(results, o, self._fraction(o)) for o in self.noisy}
            figures["noise.png"] = by_noise(under, clean)
        best = max((o for o in self.outcomes if o.system == self.outcomes[0].system), key=lambda o: o.people)
        figures["worst.png"] = worst_page(self.leads, best)
        return figures


def _of(results: Results, o: Outcome, fraction: float) -> Interval:
    return results.scores(system=o.system, subset=o.noise, fraction=fraction)[o.system]["f1"]


def _title(o: Outcome) -> str:
    return f"{o.system}, {o.people} people" if o.people else o.system


def _named(counts: Array) -> dict[str, Array]:
    """All scores of counts (..., 2, 6, 5): by Martinez's tolerances, and within 150 ms the mean F1, and of QRS."""
    near, wide = scores_of(counts[..., 0, :, :]), scores_of(counts[..., 1, :, :])
    found = {f"{name}_QRS_150ms": wide[f"{name}_QRS_onset"] for name in ("sensitivity", "ppv")}
    return {**near, "f1_150ms": wide["f1"], **found}


def _false_p(counts: Array) -> dict[str, Array]:
    """P waves found where none is marked, for each beat that is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        beats = counts[..., 1, 2, HITS] + counts[..., 1, 2, MISSED]
        return {"false_p_a_beat": counts[..., 1, 0, EXTRA] / beats}

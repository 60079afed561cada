"""`python -m ssl_ecg.delineate`: the P, QRS and T waves, found by one linear layer on a frozen encoder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ssl_ecg import cli
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder, shipped_head
from ssl_ecg.checkpoint.heads import with_head
from ssl_ecg.checkpoint.references import results_folder, short_name
from ssl_ecg.data.sources import Source
from ssl_ecg.delineate import neurokit, openecg
from ssl_ecg.delineate.card import head_card
from ssl_ecg.delineate.corpus import Lead, deal, read_leads
from ssl_ecg.delineate.evaluate import Outcome, cross_validate, fit_head, maps_of
from ssl_ecg.delineate.noise import DECIBELS, KINDS, read_noise, with_noise
from ssl_ecg.delineate.report import Report
from ssl_ecg.delineate.tuning import Tuning, tune
from ssl_ecg.delineate.use import Applied, delineate, open_files
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import ensure_writable, write_text
from ssl_ecg.leads import canonical
from ssl_ecg.report.results import Results
from ssl_ecg.study.evaluation import Question, result_folder, task_of
from ssl_ecg.study.systems import PRETRAINED, UNTRAINED, untrained
from ssl_ecg.waves.features import Frozen, RawSamples, System, check_one_lead
from ssl_ecg.waves.head import CARD, load_head, save_head

KIND = "waves"
"""What a head that finds waves is called beside its encoder."""
FINE_TUNED, SCRATCH = "fine-tuned", "supervised from scratch"
BASELINES = (UNTRAINED, RawSamples.name, *neurokit.METHODS, openecg.NAME, FINE_TUNED, SCRATCH)


@dataclass
class Delineate(Question):
    """Find P, QRS and T waves with one linear layer a sample on a frozen encoder, and say how well.

    With `--data`, a data set whose waves are marked (LUDB, QTDB): its people are dealt into folds, the layer is fitted
    on some of those of the other folds, and the waves of each lead follow as the most likely path through P, PQ, QRS,
    ST, T and TP, so that their order is physiological and an absent wave is absent. Beside it: the same network
    untrained, windows of raw samples under the same layer, NeuroKit2 and openecg where they are installed, and, if they
    are named, encoder and head trained together, from the pretrained weights and from scratch. `--save_head FOLDER`
    then fits the head on everybody and keeps it.

    With `--files FOLDER` of WFDB and EDF files, or a `--head` and any `--data`, waves and intervals of recordings
    nobody has marked: written as Parquet, as WFDB annotations, and as a strip for each recording. What cannot be used
    is named, and the others go on.

    Examples:
        python -m ssl_ecg.delineate ecg1-v1 --files ward3
        python -m ssl_ecg.delineate runs/cinc2017-joint --data LUDB --data.root data/ludb --save_head runs/waves
        python -m ssl_ecg.delineate runs/cinc2017-joint --head runs/waves --files ward3

    Args:
        checkpoint: a run's folder or a checkpoint's; its encoder takes one lead, or any.
        data: the data set with marked waves; with a head, any.
        files: a folder of recordings to find waves in.
        head: the folder of a head, which was kept by `save_head`; for files, that which ships with the encoder.
        save_head: folder to keep a head in that was fitted on all people.
        leads: what is fitted and scored; all if none is named. With a head, all leads of each recording.
        lead: which one is scored apart.
        people: numbers of people to fit on; "all" are those of the other folds.
        folds: of people.
        beside: what to compare with: untrained, raw samples, NeuroKit2 dwt, NeuroKit2 prominence and openecg, all that
            are possible by default; fine-tuned and supervised from scratch, which take their time.
        head_kind: linear, one layer a sample; or conv, with two small convolutions over what it says.
        steps: of training by gradients, where there is any: of a conv head, and of fine-tuned and supervised from
            scratch.
        causal: filter leads forwards alone, as a stream is: for a head of `StreamingWaves`.
        stages: also read each map of the encoders by itself, for the figure of F1 by stage.
        noise: folder of the MIT-BIH Noise Stress Test Database, to add its wander and muscle noise (bw, ma) to the lead
            that is scored apart, at 24, 12, 6 and 0 dB.
        penalty: of the squared weights of the layer, for all the people it is fitted on together.
    """

    question: ClassVar[str] = "delineate"

    checkpoint: str
    data: Source | None = None
    _: KW_ONLY
    files: str | None = None
    head: str | None = None
    save_head: str | None = None
    leads: tuple[str, ...] = ("I", "II", "V1", "V2", "V5")
    lead: str = "II"
    people: tuple[int | Literal["all"], ...] = (4, 16, 64, "all")
    folds: int = 5
    beside: tuple[str, ...] | None = None
    head_kind: Literal["linear", "conv"] = "linear"
    steps: int = 400
    causal: bool = False
    stages: bool = False
    noise: str | None = None
    penalty: float = 0.16

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these results from those of another data set or setting; kept with them."""
        free = {"files", "head", "save_head", "noise", "_"}
        mine = {name: value for name, value in super().identity.items() if name not in free}
        return {"question": mine.pop("question"), "data": task_of(self.data) if self.data else {}, **mine}

    def check(self) -> None:
        """Refuse, before any work, what cannot be used: UserError, naming the setting and what it may be."""
        super().check()
        if self.data is None and self.files is None:
            raise UserError("nothing to do: give --data with marked waves, such as LUDB, or --files to find waves in")
        if (self.head is not None or self.files is not None) and self.save_head is not None:
            raise UserError("--head and --files find waves, --save_head fits what finds them: give one of the two")
        if self.folds < 2:
            raise UserError(f"folds must be at least 2, not {self.folds}")
        if not 0 <= self.penalty < np.inf:
            raise UserError(f"penalty must be a number from 0 on, not {self.penalty}")
        if unknown := [name for name in self.beside or () if name not in BASELINES]:
            raise UserError(f"unknown baseline {', '.join(unknown)}: there is {', '.join(BASELINES)}")
        if any(name in neurokit.METHODS for name in self.beside or ()):
            neurokit.require()
        if openecg.NAME in (self.beside or ()):
            openecg.require()
        if self.steps < 1:
            raise UserError(f"steps must be at least 1, not {self.steps}")
        if bad := [number for number in self.people if number != "all" and number < 1]:
            raise UserError(f"people must be numbers from 1 on, or all, not {', '.join(map(str, bad))}")
        if not self.people:
            raise UserError("people must name at least one number, or all")

    def run(self) -> Results | Applied:
        """Score on marked waves, or find those of recordings with a head; print and write.

        UserError for a checkpoint, data, a head, settings or a folder that cannot be used.
        """
        self.check()
        encoder = load_encoder(self.checkpoint, self.trust)
        check_one_lead(encoder)
        if self.head is not None or self.files is not None:
            return self._apply(encoder)
        assert self.data is not None
        folder = result_folder(self.checkpoint, self.out, {**self.identity, "weights": encoder.weights[:12]})
        if self.save_head is not None:
            ensure_writable(Path(self.save_head))
        self.data.ensure()
        leads = read_leads(self.data, encoder.preprocessing, self.leads, self.causal)
        report = self._score(encoder, leads)
        rows = report.rows()
        report.show(self.checkpoint, rows)
        about = {"checkpoint": self.checkpoint, "weights": encoder.weights, **report.about()}
        results = self.publish(folder, rows, report.figures(rows), about)
        if self.save_head is not None:
            self._save(encoder, leads)
            version = str(getattr(self.data, "database", "")).rpartition("/")[2]  # of PhysioNet's
            what = version, self.head_kind == "conv", self.causal
            card = head_card(results, short_name(self.checkpoint), self.lead, *what)
            write_text(Path(self.save_head) / CARD, card)
        return results

    def _score(self, encoder: PretrainedEncoder, leads: Sequence[Lead]) -> Report:
        assert self.data is not None
        fold = deal([lead.patient for lead in leads], self.folds, self.seed)
        training = len(fold) - max(list(fold.values()).count(number) for number in range(self.folds))
        people = sorted({training if number == "all" else min(number, training) for number in self.people})
        rate, fresh = encoder.preprocessing.fs, untrained(encoder.encoder, self.seed)
        conv, frozen = self.head_kind == "conv", Frozen(PRETRAINED, encoder.encoder, rate)
        head = Tuning(conv, False, self.steps) if conv else None
        systems: list[tuple[System, Tuning | None]] = [(frozen, head)]
        if self._wants(UNTRAINED):
            systems.append((Frozen(UNTRAINED, fresh, rate), head))
        if self._wants(RawSamples.name):
            systems.append((RawSamples(rate), head))
        for name, of in ((FINE_TUNED, encoder.encoder), (SCRATCH, fresh)):
            if name in (self.beside or ()):
                systems.append((Frozen(name, of, rate), Tuning(conv, True, self.steps)))
        how: dict[str, Any] = {"rate": rate, "penalty": self.penalty, "seed": self.seed}
        noisy, outcomes = self._noisy(encoder, leads), list[Outcome]()
        for system, tuning in systems:
            print(f"fitting {system.name} ...", file=sys.stderr, flush=True)
            outcomes += cross_validate(system, leads, fold, reversed(people), noisy=noisy, tuning=tuning, **how)
        rules: list[Outcome] = []
        for name in self._rules():
            print(f"running {name} ...", file=sys.stderr, flush=True)
            rules += [_by_rule(name, leads), *(_by_rule(name, some, added) for added, some in noisy.items())]
        stages: list[Outcome] = []
        if self.stages:
            for name, of in ((PRETRAINED, encoder.encoder), (UNTRAINED, fresh)):
                for number in range(len(of.detail_grids)):
                    system = Frozen(f"{name}, map {number + 1}", of, rate, only=number)
                    stages += cross_validate(system, leads, fold, people[-1:], **how)
        seen = encoder.saw(self.data.cohort or type(self.data).__name__, sorted(fold), self.data.covers)
        setting = (
            f"transductive: {len(seen)} of the people were in pretraining"
            if seen
            else ("inductive: nobody was in pretraining")
        )
        what = type(self.data).__name__, setting, self.data.simulated, leads, canonical(self.lead), training
        clean, ruled = ([o for o in some if not o.noise] for some in (outcomes, rules))
        under = [o for o in (*outcomes, *rules) if o.noise]
        strides = [1000 * grid.stride / rate for grid in encoder.encoder.detail_grids]
        how_drawn = self.resamples, self.seed, f"{self.head_kind} head", strides
        return Report(*what, clean, ruled, stages, under, *how_drawn)

    def _noisy(self, encoder: PretrainedEncoder, leads: Sequence[Lead]) -> dict[str, list[Lead]]:
        """The lead that is scored apart with noise, by what was added."""
        mine = [lead for lead in leads if lead.name == canonical(self.lead)]
        if self.noise is None or not mine:
            return {}
        root, found = Path(self.noise).expanduser(), {}
        for kind, name in KINDS.items():
            noise = read_noise(root, kind, mine[0].fs)
            for decibels in DECIBELS:
                added = with_noise(mine, noise, decibels, encoder.preprocessing, self.seed, self.causal)
                found[f"{name}, {decibels} dB"] = added
        return found

    def _rules(self) -> list[str]:
        """What is installed, and wanted, of that which fits nothing."""
        there = [*(neurokit.METHODS if neurokit.installed() else ()), *([openecg.NAME] if openecg.installed() else ())]
        return [name for name in there if self._wants(name)]

    def _wants(self, name: str) -> bool:
        return self.beside is None or name in self.beside

    def _save(self, encoder: PretrainedEncoder, leads: Sequence[Lead]) -> None:
        assert self.data is not None and self.save_head is not None
        rate = encoder.preprocessing.fs
        frozen = Frozen(PRETRAINED, encoder.encoder, rate)
        head = fit_head(maps_of(frozen, leads), leads, rate, self.penalty, self.seed)
        if self.head_kind == "conv":
            _, head = tune(frozen, head, leads, rate, Tuning(True, False, self.steps), self.seed)
        about = {
            "fitted_on": type(self.data).__name__,
            "people": len({lead.patient for lead in leads}),
            "leads": sorted({lead.name for lead in leads}),
        }
        save_head(Path(self.save_head), replace(head, causal=self.causal), encoder.weights, about)
        print(f"A head fitted on all {about['people']} people: {self.save_head}")

    def _apply(self, encoder: PretrainedEncoder) -> Applied:
        place = self.head or shipped_head(encoder.weights, KIND)
        if place is None:
            raise UserError(
                f"--files needs a --head that finds waves: {' and '.join(with_head(KIND))} bring one, and for this "
                f"encoder python -m ssl_ecg.delineate {self.checkpoint} --data LUDB --save_head FOLDER fits one"
            )
        head, about = load_head(place, encoder.weights)
        sources = [self.data] if self.data is not None else open_files(Path(str(self.files)))
        for source in sources:
            source.ensure()
        beside = Path(self.files) if self.files else results_folder(self.checkpoint)
        where = Path(self.out) if self.out else beside / "waves"
        applied = delineate(encoder, head, sources, where)
        applied.show(self.checkpoint, about)
        if not applied.records:
            raise DataError("no recording could be used: see what is said of each above")
        return applied


def _by_rule(name: str, leads: Sequence[Lead], noise: str = "") -> Outcome:
    """What NeuroKit2 or openecg finds."""
    outcome = Outcome(name, 0, len(leads), noise)
    for row, lead in enumerate(leads):
        if name == openecg.NAME:
            outcome.add(row, lead, openecg.find(lead.signal, lead.fs))
        else:
            outcome.add(row, lead, neurokit.find(lead.signal, lead.fs, neurokit.METHODS[name]))
    return outcome


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Delineate, argv)

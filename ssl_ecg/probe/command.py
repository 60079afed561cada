"""`python -m ssl_ecg.probe`: what the frozen embeddings of a checkpoint are worth on labelled ECG."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_ecg import cli
from ssl_ecg.checkpoint.references import short_name
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.estimators.tempering import temper
from ssl_ecg.files import ensure_writable, write_text
from ssl_ecg.probe.card import CARD, head_card
from ssl_ecg.probe.report import Scored
from ssl_ecg.report.results import Results
from ssl_ecg.study import Study, System, open_study, open_whole
from ssl_ecg.study.benchmark import Benchmark, Extract, Folds, Result
from ssl_ecg.study.evaluation import Evaluation
from ssl_ecg.study.head import Head, normal_beats, save_head
from ssl_ecg.study.study import check_untaught, seen_by
from ssl_ecg.study.systems import PRETRAINED, UNTRAINED, Frozen, FrozenTokens, Rhythm, has_rr, untrained

# F is nearly one patient's in MIT-BIH, so the field also averages over the other three.
_GROUPS: dict[tuple[str, ...], list[tuple[str, ...]]] = {("N", "S", "V", "F"): [("N", "S", "V")]}

Features = NDArray[np.float32]


@dataclass(kw_only=True)
class Probe(Evaluation):
    """Fit a linear probe on the frozen embeddings of the train patients, and score it once on the test patients.

    Always beside the untrained encoder, the PCA of the raw signal, hand features and, with aeon installed, MiniRocket;
    and, where beats are labelled, with and without causal RR features. All that is chosen is chosen by cross-validation
    inside the train patients, judged, where there are five, by those outside the pretraining set: the encoder embeds
    its pretraining patients better than others, and they would favour a weak penalty. The baselines are judged by all.
    Where a record may belong to several classes, a binary regression is fitted for each, and the data set's validation
    split, if it has one, chooses and is never fitted on. Records with none of the task's classes are left out then, as
    the benchmarks of PTB-XL do.

    With `--folds 5` the data set's own split is not looked at: all patients are dealt into folds, each is scored once
    by a probe of the others, and scores are means over folds. For data whose one test fold is too small, such as a
    subset of PTB-XL. Transductive where patients were in pretraining, and then said.

    Prints a table and writes it as JSON and CSV, with figures, and what every system predicted for every test sample.

    Examples:
        python -m ssl_ecg.probe runs/simclr-mitbih --data MITBIH --data.root data/mitdb
        python -m ssl_ecg.probe runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --folds 5
        python -m ssl_ecg.probe runs/simclr-simulated --data Simulated --validate
        python -m ssl_ecg.probe runs/cinc2017-joint --data MITBIH --lead II --windows stretches --save_head runs/beats

    Args:
        folds: of patients over the whole data set; 0 for the data set's own split.
        validate: leave the test patients out: for choosing between checkpoints and settings. Without folds, stop at the
            cross-validated scores of the train patients, the same ones for all systems.
        attentive: beside the linear probes, train attention over the tokens of the pretrained encoder and of the same
            untrained, with a linear layer; of a recording longer than a window, over all of its tokens.
        save_head: folder to keep the pretrained encoder's probe in, with RR features where beats have them.
    """

    question: ClassVar[str] = "probe"

    folds: int = 0
    validate: bool = False
    attentive: bool = False
    save_head: str | None = None

    def check(self) -> None:
        """Refuse, before any work, settings that cannot be used, by a UserError."""
        super().check()
        if self.folds < 0 or self.folds == 1:
            raise UserError(f"folds must be 0, for the data set's own split, or at least 2, not {self.folds}")
        if self.save_head is not None and self.folds:
            raise UserError("--save_head keeps one probe, and --folds fits one for each fold: give one of the two")

    def open_study(self) -> Study:
        """Encoder and data; all patients on one side for folds over everybody."""
        whole = self.folds and not self.validate
        return (open_whole if whole else open_study)(self.place, self.data, self.cache, self.trust, self.lead)

    def run(self) -> Results:
        """Fit, score, print and write: scores of each system, on parts of the test set too, and differences.

        UserError for a checkpoint, data or a folder that cannot be used, or a patient on both sides.
        """
        name = "validation" if self.validate and not self.folds else "results"
        folder, study = self.open(name)
        if self.save_head is not None:
            ensure_writable(Path(self.save_head))
        scored = self._by_folds(study) if self.folds else self._by_split(study)
        scored.show(str(self.checkpoint))
        about = {"checkpoint": str(self.checkpoint), **scored.about()}
        scored.write_predictions(folder / "predictions.parquet")
        results = self.publish(folder, scored.rows(), scored.figures(), about, name=name)
        if self.save_head is not None:
            people = len(set(study.train.patient.tolist()))
            said = study.train.preprocessing.leads, study.data.task, people, self.context.note
            write_text(Path(self.save_head) / CARD, head_card(results, short_name(self.checkpoint), *said))
        return results

    def _by_split(self, study: Study) -> Scored:
        """The data set's own train and test sides."""
        train, test, data = study.train, study.test, study.data
        if self.validate:
            check_untaught(study.encoder, study.store.cohort, _judging(study), data)
        benchmark = Benchmark(
            study.labels(train),
            study.labels(test),
            data.classes,
            groups=_GROUPS.get(tuple(data.classes), []),
            validation=study.validation,
            subsets=data.subsets,
            resamples=self.resamples,
            seed=self.seed,
            device=self.at,
        )
        results: list[Result] = []
        embeddings: Features | None = None
        # The baselines first: the pretrained encoder is compared with them.
        tokens = [(system.name, _block(system)) for system in self._attentive(study)]
        found = self.systems(study)
        probed, encoders = variants(found), [system for system in found if isinstance(system, Frozen)]
        for title, extract in reversed([*probed, *tokens]):
            pretrained = title.startswith(PRETRAINED)
            print(f"fitting {title} ...", file=sys.stderr, flush=True)
            judged = study.judged if self.validate or pretrained else None
            fitted = benchmark.fit(title, extract(train), judged, cross_validate=self.validate)
            if not self.validate:
                features = extract(test)
                fitted = benchmark.score(fitted, features, _comparable(title, results) if pretrained else [])
                embeddings = features.get(PRETRAINED, embeddings)
            results.insert(0, fitted)
            if self.save_head is not None and title == probed[0][0]:
                self._keep(study, fitted, extract(train), encoders[0])
        setting = _validated(study.judged, train) if self.validate else study.setting
        return self._scored(setting, results, benchmark, embeddings=embeddings)

    def _keep(self, study: Study, fitted: Result, features: dict[str, Features], system: Frozen) -> None:
        """Save a probe as a head, with what is normal if a class is N."""
        assert isinstance(fitted.probe, LinearProbe) and self.save_head is not None
        classes, train = tuple(study.data.classes), study.train
        z, is_normal = features[PRETRAINED], train.targets[:, classes.index("N")] if "N" in classes else None
        normal = None if is_normal is None else normal_beats(z[is_normal], train.patient[is_normal])
        about: dict[str, Any] = {
            "fitted_on": study.name,
            "task": study.data.task,
            "patients": len(set(train.patient.tolist())),
        }
        how: dict[str, Any] = {"windows": self.windows, "span": self.span, "future": self.future, "about": about}
        how |= {"normal": normal, "reduction": system.reduction}
        probe, leads = fitted.probe, train.preprocessing.leads
        if probe.exclusive:
            decision, about["prior_exponent"] = temper(probe, features, train.label, train.patient)
            probe = replace(probe, decision=decision)
        save_head(Path(self.save_head), Head(probe, classes, study.encoder.weights, leads, **how))

    def _by_folds(self, study: Study) -> Scored:
        """Folds over all patients, or over those who are not on the test side."""
        everything = study.train
        check_untaught(study.encoder, study.store.cohort, everything, study.data)
        groups = _GROUPS.get(tuple(study.data.classes), [])
        options = {"groups": groups, "resamples": self.resamples, "device": self.at}
        folds = Folds(study.labels(everything), study.data.classes, n_folds=self.folds, seed=self.seed, **options)
        results: list[Result] = []
        for system in reversed([*self.systems(study), *self._attentive(study)]):
            print(f"fitting {system.name} ...", file=sys.stderr, flush=True)
            others = results if system.name.startswith(PRETRAINED) else []
            results.insert(0, folds.run(system.name, self._extract(study, system), others))
        everybody, seen = set(everything.patient.tolist()), seen_by(study.encoder, everything)
        setting = (
            f"transductive: {len(seen)} of the {len(everybody)} patients were in pretraining, without their labels"
            if seen
            else "inductive: no patient was in pretraining"
        )
        if self.validate:
            setting += "; the test patients were left out"
        return self._scored(setting, results, folds.benchmarks[0], folds=folds)

    def _attentive(self, study: Study) -> list[System]:
        """Tokens of the pretrained encoder and of the same untrained, if they are to be probed."""
        if not self.attentive:
            return []
        encoder = study.encoder.encoder
        return [
            FrozenTokens(PRETRAINED, encoder, self.at),
            FrozenTokens(UNTRAINED, untrained(encoder, self.seed), self.at),
        ]

    def _scored(self, setting: str, results: list[Result], benchmark: Benchmark, **more: Any) -> Scored:  # noqa: ANN401
        task, data = str(getattr(self.data, "labels", "") or ""), type(self.data).__name__
        return Scored(data, task, self.data.simulated, setting, results, benchmark, **more)

    def _extract(self, study: Study, system: System) -> Extract:
        """A system's features of a fold's sides; of what fits nothing, those of all samples, made once."""
        made: list[Features] = []

        def extract(
            fit_on: NDArray[np.bool_], score_on: NDArray[np.bool_]
        ) -> tuple[dict[str, Features], dict[str, Features]]:
            if system.fitted:
                sides = study.train.where(fit_on), study.train.where(score_on)
                of_fold = replace(study, train=sides[0], test=sides[1])
                beside = () if system.name == PRETRAINED else (system.name,)
                again = replace(self, beside=beside).systems(of_fold)[-1]
                first, second = (again.features(side) for side in sides)
            else:
                if not made:
                    made.append(system.features(study.train))
                first, second = made[0][fit_on], made[0][score_on]
            return {system.name: first}, {system.name: second}

        return extract


def variants(found: Sequence[System]) -> list[tuple[str, Callable[[WindowSet], dict[str, Features]]]]:
    """What is probed, by name: every system's features, and where beats have a rhythm, those and the rhythm's.

    Features of a system are made once for each side.
    """
    rhythm = next((system for system in found if isinstance(system, Rhythm)), None)
    kept: dict[tuple[str, int], Features] = {}

    def features(system: System, side: WindowSet) -> Features:
        key = system.name, id(side)
        if key not in kept:
            kept[key] = system.features(side)
        return kept[key]

    def blocks(*of: System) -> Callable[[WindowSet], dict[str, Features]]:
        return lambda side: {("RR" if system is rhythm else system.name): features(system, side) for system in of}

    made = []
    for system in found:
        if rhythm is not None and system is not rhythm:
            made.append((f"{system.name}{rhythm.joined}", blocks(system, rhythm)))
        made.append((system.name, blocks(system)))
    return made


def _block(system: System) -> Callable[[WindowSet], dict[str, Features]]:
    return lambda side: {system.name: system.features(side)}


def _comparable(title: str, results: Sequence[Result]) -> list[Result]:
    """The baselines that read the rhythm too, or those that do not."""
    return [r for r in reversed(results) if has_rr(title) == has_rr(r.system)]


def _judging(study: Study) -> WindowSet:
    """The train windows that the pretrained encoder's cross-validated scores are taken over."""
    judging = np.ones(len(study.train), dtype=np.bool_)
    for mine in (study.judged, study.validation):
        if mine is not None:
            judging &= mine
    return study.train.where(judging)


def _validated(judged: NDArray[np.bool_] | None, train: WindowSet) -> str:
    """What the cross-validated scores are worth for choosing between encoders."""
    if judged is not None:
        return f"inductive: judged by {len(set(train.patient[judged]))} train patients who were not in pretraining"
    return (
        "transductive: the patients were in pretraining, which flatters the pretrained encoder; for choosing, "
        "pretrain with hold_out 0.5, and others will judge"
    )


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Probe, argv)

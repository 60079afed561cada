"""`python -m ssl_ecg.checkpoints compare`: which checkpoint to choose, a matrix of checkpoints and data sets."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import ClassVar

from ssl_ecg import cli
from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.checkpoint.references import short_name
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable
from ssl_ecg.report.results import Results, unique
from ssl_ecg.report.tables import Value, origin, print_table, too_few
from ssl_ecg.study import Study, open_study
from ssl_ecg.study.benchmark import Benchmark, Result
from ssl_ecg.study.evaluation import Shared, task_of
from ssl_ecg.study.systems import BASELINES, PRETRAINED, UNTRAINED, System

_SCORE, _HEADING = "macro_auroc", "macro AUROC"


@dataclass
class Compare(Shared):
    """Compare checkpoints on data sets by linear probe: the table a user needs to choose one.

    Each checkpoint stands beside its own untrained network, which is scored once where all have the same, and beside
    baselines without any learning, which are made once for each preprocessing. Settings are chosen inside the train
    patients; the test patients are scored once. Intervals and paired differences are by bootstrap over the test
    patients; two checkpoints whose windows differ are compared in pairs only where they leave the same samples.

    Examples:
        python -m ssl_ecg.checkpoints compare runs/simclr-ptbxl runs/byol-ptbxl --data PTBXL --data.0.root data/ptb-xl
        python -m ssl_ecg.checkpoints compare hf://ORG/A hf://ORG/B --data PTBXL,LUDB --data.1.root data/ludb

    Args:
        checkpoints: folders of runs, or other references to checkpoints.
        data: the labelled data sets.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all but the last by
            default, RR alone where beats have classes.
        out: folder of the results.
    """

    question: ClassVar[str] = "compare"
    subcommand: ClassVar[str] = "compare"

    checkpoints: list[str]
    data: list[Source]
    _: KW_ONLY
    beside: tuple[str, ...] | None = None
    out: str | None = "runs/compare"

    def run(self) -> Results:
        """Fit, score, print and write: a row for each score of each checkpoint and baseline, and for each difference.

        UserError for settings, checkpoints, data or a folder that cannot be used, or a patient on both sides.
        """
        if not self.checkpoints or not self.data:
            raise UserError("compare at least one checkpoint on one data set")
        self.check()
        places = [find_checkpoint(ref) for ref in self.checkpoints]
        folder = Path(self.out or "runs/compare").expanduser()
        ensure_writable(folder)
        labels = unique([short_name(ref) for ref in self.checkpoints])
        tasks = unique([_title(source) for source in self.data])
        # All are opened before anything is embedded: a leak, a foreign file or a wrong name is refused at once.
        opened = [
            [self.noted(open_study(place, source, self.cache, self.trust, self.lead)) for place in places]
            for source in self.data
        ]
        found: dict[str, list[Result]] = {}
        rows, notes = [], []
        for task, source, studies in zip(tasks, self.data, opened, strict=True):
            found[task], rare = self._scored(task, labels, studies)
            where = {"data": type(source).__name__, "task": str(task_of(source).get("labels") or "")}
            rows += [row for result in found[task] for row in result.rows(**where, predictor="linear probe")]
            notes += _settings(task, labels, studies)
            notes += [f"{task}: {rare}"] if rare else []
        simulated = any(source.simulated for source in self.data)
        _show(found, simulated)
        print("\n".join(notes))
        about = {"checkpoints": dict(zip(labels, map(str, self.checkpoints), strict=True)), "notes": notes}
        return self.publish(folder, rows, {}, {**about, "simulated": simulated})

    def _scored(self, task: str, labels: Sequence[str], studies: Sequence[Study]) -> tuple[list[Result], str]:
        """The results of one data set, each checkpoint before its untrained network, the other baselines last."""
        learned: list[Result] = []
        others: dict[str, Result] = {}
        rare: dict[str, None] = {}
        one = len({_network(study) for study in studies}) == 1  # untrained, for all
        for label, study in zip(labels, studies, strict=True):
            bench = Benchmark(
                study.labels(study.train),
                study.labels(study.test),
                study.data.classes,
                validation=study.validation,
                resamples=self.resamples,
                seed=self.seed,
                device=self.at,
            )
            rare |= dict.fromkeys(bench.too_few)
            context = study.encoder.preprocessing.to_dict()
            known = next((i for i, other in enumerate(studies) if other.encoder.preprocessing.to_dict() == context), 0)
            made: dict[str, Result] = {}
            for system in self.systems(study):
                if system.name == PRETRAINED:
                    name = label
                elif system.name == UNTRAINED:
                    if one and UNTRAINED in others:
                        made[UNTRAINED] = others[UNTRAINED]
                        continue
                    name = UNTRAINED if one else f"{label}, {UNTRAINED}"
                elif labels[known] != label:  # made with the checkpoint that has the same preprocessing
                    continue
                else:
                    name = system.name if known == 0 else f"{system.name}, as {label} sees it"
                print(f"{task}: {name} ...", file=sys.stderr, flush=True)
                made[system.name] = self._probed(bench, study, system, name)
            own = [made[UNTRAINED]] if UNTRAINED in made else []
            rivals = [r for r in [*own, *learned[:1]] if _paired(r, made[PRETRAINED])]
            learned += [made.pop(PRETRAINED).beside(rivals), *([] if one else own)]
            if not one:
                made.pop(UNTRAINED, None)
            others |= {result.system: result for result in made.values()}
        return [*learned, *others.values()], too_few(list(rare))

    def _probed(self, bench: Benchmark, study: Study, system: System, name: str) -> Result:
        judged = study.judged if system.name == PRETRAINED else None
        fitted = bench.fit(name, {system.name: system.features(study.train)}, judged)
        return bench.score(fitted, {system.name: system.features(study.test)})

    def systems(self, study: Study) -> list[System]:
        """As every question has them, and by default all but MiniRocket, which takes minutes."""
        beats = study.data.task == "beat"
        usual = tuple(name for name in BASELINES if name != "MiniRocket" and (beats or name != "RR alone"))
        return super().systems(study) if self.beside is not None else replace(self, beside=usual).systems(study)


def _network(study: Study) -> str:
    """What an untrained network's scores follow from, but for its seed."""
    encoder, preprocessing = study.encoder.encoder, study.encoder.preprocessing.to_dict()
    return repr((type(encoder), sorted(encoder.arguments.items()), preprocessing))


def _settings(task: str, labels: Sequence[str], studies: Sequence[Study]) -> list[str]:
    """Say what each encoder knew before, once for those of which the same is to be said."""
    said: dict[str, list[str]] = {}
    for label, study in zip(labels, studies, strict=True):
        said.setdefault(study.setting, []).append(label)
    return [f"{task}, {', '.join(who)}: {what}." for what, who in said.items()]


def _paired(one: Result, other: Result) -> bool:
    """Whether two results are of the same test samples."""
    return one.resampled is not None and other.resampled is not None and one.resampled.key == other.resampled.key


def _show(found: Mapping[str, Sequence[Result]], simulated: bool) -> None:
    """Print the matrix, and the paired differences."""
    table: dict[str, dict[str, Value]] = {}
    for task, results in found.items():
        for result in results:
            table.setdefault(result.system, {})[task] = result.scores.get(_SCORE)
    print_table(table, title=f"linear probe, test patients, {_HEADING}, {origin(simulated)}")
    for task, results in found.items():
        rows = [row for result in results for row in result.rows()]
        print("\n".join(f"{task}: {line}" for line in Results("compare", rows).compared(_SCORE, _HEADING)))


def _title(source: Source) -> str:
    labels = task_of(source).get("labels")
    return f"{type(source).__name__} {labels}" if isinstance(labels, str) else type(source).__name__


def main(argv: list[str]) -> None:
    """The command line: checkpoints stand one after the other, or with commas between them."""
    count = next((i for i, token in enumerate(argv) if token.startswith("-")), len(argv))
    cli.run(Compare, [*([",".join(argv[:count])] if count else []), *argv[count:]])

"""`python -m ssl_ecg.sweep`: what frozen embeddings are worth with few labels and with many."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from ssl_ecg import cli
from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.checkpoint.references import short_name
from ssl_ecg.data.progress import track
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import ascending
from ssl_ecg.estimators.probe import CS
from ssl_ecg.files import ensure_writable
from ssl_ecg.launch import Launcher
from ssl_ecg.report.results import Results, unique
from ssl_ecg.study import Study, check_few_labels, open_study
from ssl_ecg.study.evaluation import Shared
from ssl_ecg.study.label_draws import check_fractions, label_sides
from ssl_ecg.study.study import check_untaught
from ssl_ecg.study.systems import PRETRAINED, System
from ssl_ecg.sweep.cells import Cell, SharedFeatures, cell_key, cell_of, file_name
from ssl_ecg.sweep.label_efficiency import LabelEfficiency, predictor
from ssl_ecg.sweep.predictors import Predictor, TrainSide
from ssl_ecg.sweep.report import about, curves, figures, rows, show
from ssl_ecg.sweep.seeds import means_over_seeds


@dataclass
class Sweep(Shared):
    """Probe checkpoints on tasks with a share of the labels, with several draws of each share.

    A task is a data set with its labels: `--data PTBXL,PTBXL --data.0.labels super --data.1.labels all` are two, and in
    a file each is an item of a list. Every checkpoint embeds a data set once. Whole patients are drawn, stratified by
    class, the validation split's by the same share, and each draw lies inside the larger ones of its seed. The linear
    probe fits all classes and all values of C together, as binary logistic regressions, also where classes exclude each
    other; kNN reads the labelled samples alone too, label spreading and self-training use the unlabelled train samples
    besides. What is chosen is chosen by the drawn validation patients or, without such a split, by leaving drawn
    patients out in turn; where fewer than five could judge, C is the value nearest to 1 / (number of features), and
    other settings are fixed. Test patients are scored with the chosen setting alone. Beside each checkpoint stand the
    same encoder untrained and the PCA of the raw signal.

    The folder OUT keeps embeddings and finished parts: the same command goes on with a stopped sweep, and what other
    settings or another version of the code made is made anew. It ends with a table, `results.csv`, `results.json` and
    two figures.

    Examples:
        python -m ssl_ecg.sweep runs/simclr-ptbxl --data PTBXL --data.0.root data/ptb-xl
        python -m ssl_ecg.sweep runs/simclr-ptbxl --data PTBXL --predictors linear,knn,spreading,self_training
        python -m ssl_ecg.sweep runs/simclr-ptbxl,runs/byol-ptbxl --config experiments/sweeps/ptbxl.yaml --seeds 10
        python -m ssl_ecg.sweep runs/simclr-0,runs/simclr-1,runs/simclr-2 --average --data PTBXL
        python -m ssl_ecg.sweep runs/simclr-0,runs/simclr-1 --data PTBXL --launcher.where slurm --launcher.gpus 1

    Args:
        checkpoints: folders of runs or of checkpoints, with commas between them.
        data: the tasks: labelled data sets.
        fractions: shares of the train and validation patients whose labels are known.
        seeds: draws of each share below 1.
        cs: values of C to choose from, as scikit-learn counts them; a larger one regularises less.
        predictors: what reads the features, of linear, knn, spreading and self_training.
        validate: score validation patients, those of the data set's validation split or a fifth of the train patients,
            and draw the labels from the others: for choosing between checkpoints. The test set is not touched.
        average: beside the checkpoints, show the mean of those that are named alike but for a number at the end: seeds
            of pretraining by one recipe.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket.
        launcher: whether jobs make the parts, a share of the checkpoints each: of this machine, or of a SLURM cluster.
        out: folder of the sweep.
    """

    question: ClassVar[str] = "sweep"

    checkpoints: list[str]
    data: list[Source]
    _: KW_ONLY
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    seeds: int = 5
    cs: tuple[float, ...] = CS
    predictors: tuple[str, ...] = ("linear",)
    validate: bool = False
    average: bool = False
    beside: tuple[str, ...] | None = ("untrained", "raw PCA")
    launcher: Launcher = field(default_factory=Launcher)
    out: str | None = "runs/sweep"

    def check(self) -> None:
        """Refuse, before any work, settings that cannot be used, by a UserError."""
        if not self.checkpoints or not self.data:
            raise UserError("a sweep needs at least one checkpoint and one data set")
        check_fractions(self.fractions, self.seeds)
        ascending(self.cs)
        for name in self.predictors or ("",):
            predictor(name)
        super().check()

    def run(self) -> Results:
        """Embed, predict, score, print and write: rows for each task, system, predictor, share of the labels and draw.

        UserError for settings, checkpoints, data or a folder that cannot be used, or a patient on both sides.
        """
        self.check()
        folder = Path(self.out or "runs/sweep").expanduser()
        for part in ("features", "cells"):
            ensure_writable(folder / part)
        if self.launcher.away:
            alone = replace(self, launcher=Launcher(), out=str(folder.resolve()), wandb="off")
            self.launcher.run(partial(_make_parts, alone), self.checkpoints, folder / "jobs")
        cells, reused = self._cells(folder)
        if reused and not self.launcher.away:
            print(f"finished before, and not made again: {', '.join(reused)}", file=sys.stderr)
        found = [*cells, *(means_over_seeds(cells) if self.average else [])]
        simulated = any(source.simulated for source in self.data)
        scored = "validation" if self.validate else "test"
        show(found, simulated=simulated, scored=scored)
        name = "validation" if self.validate else "results"
        more = {"simulated": simulated, "scored": f"{scored} patients", **about(found)}
        return self.publish(folder, rows(found), figures(found, scored), more, name=name, curves=curves(found))

    def _cells(self, folder: Path) -> tuple[list[Cell], list[str]]:
        """Make the parts that the folder lacks, and read the others; titles of the latter."""
        places = [find_checkpoint(checkpoint) for checkpoint in self.checkpoints]
        # All are opened before anything is embedded: a leak, a foreign file or a wrong name is refused at once.
        tasks = unique([_title(source) for source in self.data])
        labels = unique([short_name(checkpoint) for checkpoint in self.checkpoints])
        work = [
            (label, task, *self._opened(place, source, folder))
            for label, place in zip(labels, places, strict=True)
            for task, source in zip(tasks, self.data, strict=True)
        ]
        cells: dict[str, Cell] = {}
        reused: list[str] = []
        made_with = {"components": self.components, "seed": self.seed, "future": self.future, "validate": self.validate}
        for label, task, shared, systems in work:
            study, efficiency = shared.study, self._efficiency(shared.study)
            for system, kind in product(systems, map(predictor, self.predictors)):
                key = shared.key(system, **made_with)
                # What the encoder has seen matters to it alone.
                judged, seen = (study.judged, study.setting) if system.name == PRETRAINED else (None, "")
                identity = self._identity(study, [key, judged, seen], kind)
                path = folder / "cells" / f"{file_name(task, system.name, kind.name)}-{identity}.npz"
                place, title = f"{task}/{identity}", f"{task}: {system.name}, {kind.name} ({label})"
                if place in cells:  # the same encoder untrained, or the same PCA, is another checkpoint's baseline too
                    cells[place] = replace(cells[place], checkpoints=(*cells[place].checkpoints, label))
                elif path.exists():
                    cells[place] = replace(Cell.load(path), task=task, checkpoints=(label,))
                    reused.append(title)
                else:
                    print(f"{title} ...", file=sys.stderr, flush=True)
                    made = kind(*shared.of(system, key), replace(efficiency.side, judged=judged))
                    runs = track(efficiency.run(made), len(efficiency.draws), f"{kind.name}, {system.name}")
                    cells[place] = cell_of(study, task, label, system.name, made, efficiency, runs)
                    cells[place].save(path)
        return list(cells.values()), reused

    def _opened(self, checkpoint: Path, source: Source, folder: Path) -> tuple[SharedFeatures, list[System]]:
        study = self.noted(open_study(checkpoint, source, self.cache, self.trust, self.lead))
        if self.validate:
            sides = label_sides(study, seed=self.seed)
            check_untaught(study.encoder, study.store.cohort, sides.validation, source)
            study = replace(study, train=sides.learn, test=sides.validation)
        if min(self.fractions) < 1:
            check_few_labels(study)
        shared = SharedFeatures(study, folder / "features")
        return shared, self.systems(study if self.validate else shared.wide)

    def _efficiency(self, study: Study) -> LabelEfficiency:
        train, test = study.train, study.test
        cs = tuple(ascending(self.cs))
        exclusive = not study.data.multilabel
        side = TrainSide(train.targets, train.patient, exclusive, study.validation, None, cs, self.at)
        how: dict[str, Any] = {"fractions": self.fractions, "seeds": self.seeds, "seed": self.seed}
        return LabelEfficiency(side, test.targets, test.patient, study.data.classes, resamples=self.resamples, **how)

    def _identity(self, study: Study, features: list[Any], kind: type[Predictor]) -> str:
        """What tells the results of a predictor on some features from all others."""
        sides = [study.train.targets, study.train.patient, study.test.targets, study.test.patient, study.validation]
        settings = [self.fractions, self.seeds, self.cs, self.resamples, self.seed, kind.name, study.data.multilabel]
        return cell_key([*features, study.data.classes, sides, settings])


def _make_parts(sweep: Sweep, checkpoints: Sequence[str]) -> None:
    """Make the parts of some of a sweep's checkpoints: the work of a job."""
    mine = replace(sweep, checkpoints=list(checkpoints))
    mine._cells(Path(mine.out or ""))


def _title(source: Source) -> str:
    """What a task is called: the data set, and which of its labels where it has several kinds."""
    labels = getattr(source, "labels", None)
    return f"{type(source).__name__} {labels}" if isinstance(labels, str) else type(source).__name__


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Sweep, argv)

"""A sweep's finished parts on disk: features of one system on one data set, and its results on one task.

A file is found again by what went into it (weights, preprocessing, recordings, labels, settings, and the source of the
modules that compute it), so that a sweep which goes on reuses what is unchanged and nothing else. Each file is written
whole or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.windows import WindowSet, labelled
from ssl_ecg.files import replacing
from ssl_ecg.fingerprint import code_fingerprint, fingerprint
from ssl_ecg.metrics.bootstrap import Resampled
from ssl_ecg.study.study import Study
from ssl_ecg.study.systems import PRETRAINED, Frozen, System
from ssl_ecg.sweep.label_efficiency import LabelEfficiency, Run
from ssl_ecg.sweep.predictors import Predictor

Features = NDArray[np.float32]

SCORES = ("macro_auroc", "macro_auprc", "macro_f1")
# Of these depends what is computed: other code makes it anew.
_FEATURES = (
    "ssl_ecg.encoders",
    "ssl_ecg.study",
    "ssl_ecg.checkpoint.long",
    "ssl_ecg.training.embedding",
    "ssl_ecg.data.windows",
)
_RESULTS = ("ssl_ecg.estimators", "ssl_ecg.metrics", "ssl_ecg.sweep", "ssl_ecg.study")


@dataclass(frozen=True)
class DrawScores:
    """One draw of the labels: what chose the setting, and its scores on the test patients.

    Counted are the patients who gave labels, those of the validation split included, and their windows; `missing` are
    classes that nobody who was learned from has; `curve` is the validation macro AUROC of every setting, NaN where
    nothing held out can say.
    """

    fraction: float
    seed: int
    patients: int
    samples: int
    missing: tuple[str, ...]
    how: str
    chosen: float
    curve: tuple[float, ...]
    test: dict[str, float]


@dataclass(frozen=True)
class Cell:
    """What one predictor made of one system's features on one task, for every draw of the labels.

    It chose the `setting`, such as C, from `settings`. `checkpoints`: whose encoder it is, or whose baseline. `seen`:
    inductive or transductive, in words. `too_few`: classes that fewer than five test patients have, or lack, in no
    average. `sides`: patients and windows of train, validation and test. `draws` are in the order of `resampled`, the
    test scores.
    """

    data: str
    task: str
    system: str
    predictor: str
    setting: str
    checkpoints: tuple[str, ...]
    seen: str
    settings: tuple[float, ...]
    too_few: tuple[str, ...]
    sides: dict[str, dict[str, int]]
    draws: tuple[DrawScores, ...]
    resampled: tuple[Resampled, ...]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all; UserError if the file cannot be written."""
        document = asdict(replace(self, resampled=())) | {"key": self.resampled[0].key}
        replicates = np.array([[run.replicates[name] for name in SCORES] for run in self.resampled])
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, document=np.array(json.dumps(document)), replicates=replicates)

    @classmethod
    def load(cls, path: Path) -> Cell:
        """Read one that `save` wrote."""
        with np.load(path) as file:
            document, replicates = json.loads(str(file["document"])), file["replicates"]
        key = document.pop("key")
        draws = tuple(
            DrawScores(**draw | {"missing": tuple(draw["missing"]), "curve": tuple(draw["curve"])})
            for draw in document.pop("draws")
        )
        resampled = tuple(
            Resampled(draw.test, dict(zip(SCORES, rows, strict=True)), key)
            for draw, rows in zip(draws, replicates, strict=True)
        )
        lists = {name: tuple(document.pop(name)) for name in ("checkpoints", "settings", "too_few")}
        return cls(**document | lists | {"draws": draws, "resampled": resampled})


def cell_of(
    study: Study,
    task: str,
    checkpoint: str,
    system: str,
    predictor: Predictor,
    efficiency: LabelEfficiency,
    runs: Iterable[Run],
) -> Cell:
    """Score a predictor's runs on a system, and keep what a report needs of them."""
    # Resamples of one test set are known by it, in whatever process they were drawn.
    key = int(fingerprint([efficiency.bootstrap.drawn, study.test.targets, study.test.patient]), 16)
    draws, resampled = [], []
    for run in runs:
        draws.append(
            DrawScores(
                fraction=run.draw.fraction,
                seed=run.draw.seed,
                patients=run.patients,
                samples=run.samples,
                missing=tuple(c for c, n in zip(study.data.classes, run.learned, strict=True) if not n),
                how=run.prediction.how,
                chosen=float(run.prediction.chosen),
                curve=tuple(run.prediction.curve.tolist()),
                test={name: run.test.values[name] for name in SCORES},
            )
        )
        resampled.append(Resampled(draws[-1].test, {name: run.test.replicates[name] for name in SCORES}, key))
    judges = np.zeros(len(study.train), dtype=np.bool_) if study.validation is None else study.validation
    sides = {"train": study.train.where(~judges), "validation": study.train.where(judges), "test": study.test}
    return Cell(
        data=study.name,
        task=task,
        system=system,
        predictor=predictor.name,
        setting=predictor.setting,
        checkpoints=(checkpoint,),
        seen=study.setting if system == PRETRAINED else "inductive: not pretrained",
        settings=predictor.settings,
        too_few=efficiency.too_few,
        sides={
            name: {"patients": len(np.unique(side.patient)), "windows": len(side)}
            for name, side in sides.items()
            if len(side)
        },
        draws=tuple(draws),
        resampled=tuple(resampled),
    )


def cell_key(content: object) -> str:
    """What tells results of a system from all others: its features, labels and settings, and the code."""
    return fingerprint([code_fingerprint(*_RESULTS), content])


class SharedFeatures:
    """Features of every window that some task of a data set may label: made once for each system, kept on disk.

    All tasks of a data set choose from the same windows, so that another task needs no new embedding.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study, self.folder = study, folder
        preprocessing = study.encoder.preprocessing
        index = labelled(study.store).index(study.store, preprocessing.samples)
        self.windows = WindowSet(study.store, preprocessing, index)

    @property
    def wide(self) -> Study:
        """The study with every window to fit on that is not a test patient's, labelled in its task or not."""
        return replace(self.study, train=self.windows.where(self.windows.split != "test"))

    def key(self, system: System, **settings: object) -> str:
        """What tells a system's features from all others: weights or settings, preprocessing, windows, and the code."""
        made: object = [system.name, settings]
        if isinstance(system, Frozen):
            weights = {name: value.cpu().numpy() for name, value in system.encoder.state_dict().items()}
            made = [type(system.encoder).__name__, system.encoder.arguments, weights, asdict(system.context)]
            made += [settings] if system.fitted else []
        meta = {name: value for name, value in self.study.store.meta.items() if name not in ("classes", "meaning")}
        cut = [self.windows.index.record.numpy(), self.windows.index.start.numpy()]
        return fingerprint([code_fingerprint(*_FEATURES), made, meta, self.windows.preprocessing.to_dict(), cut])

    def of(self, system: System, key: str) -> tuple[Features, Features]:
        """A system's features of the study's train and test windows, each (n, D); computed if they are not there."""
        path = self.folder / f"{file_name(self.study.name, system.name)}-{key}.npy"
        if not path.exists():
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.save(file, system.features(self.windows))
        z: Features = np.load(path, mmap_mode="r")
        place = _identity(self.windows)
        order = np.argsort(place)
        train, test = (
            np.asarray(z[order[np.searchsorted(place, _identity(side), sorter=order)]])
            for side in (self.study.train, self.study.test)
        )
        return train, test


def file_name(*parts: str) -> str:
    """Names as a file may have them."""
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in parts)


def _identity(windows: WindowSet) -> NDArray[np.int64]:
    """A number of each window: its recording and its start."""
    index = windows.index
    return (index.record * 2**40 + index.start).numpy()

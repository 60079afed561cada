"""`python -m ssl_ecg.anomaly`: whether abnormal ECG lies apart from normal ECG in the frozen embeddings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch

from ssl_ecg import cli
from ssl_ecg.anomaly.benchmark import AnomalyBenchmark, Detection, check_normal, normal_samples
from ssl_ecg.anomaly.report import about, figures, rows, show
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder, reconstruction_error
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.detectors import DETECTORS, Detector, Given
from ssl_ecg.report.results import Results
from ssl_ecg.report.tables import origin
from ssl_ecg.study import Study, System
from ssl_ecg.study.evaluation import Evaluation
from ssl_ecg.study.systems import Features, Rhythm

DetectorName = Literal["knn", "mahalanobis", "forest", "reconstruction"]

_NORMAL = ("N", "NORM", "NSR")  # its names in the data sets


class RawSignal(System):
    """The windows themselves, sample by sample: what an autoencoder reconstructs."""

    name = "raw signal"

    def features(self, windows: WindowSet) -> Features:
        """Samples of all leads, shape (n, C T)."""
        return np.concatenate([x.flatten(1).numpy() for x in windows.batches()])


class Reconstructed(System):
    """The error of the autoencoder that the encoder was pretrained as, by its own decoder."""

    name = "autoencoder"

    def __init__(self, encoder: Encoder, decoder: Decoder, device: torch.device) -> None:
        self.encoder, self.decoder, self.device = encoder.to(device), decoder.to(device), device

    @torch.inference_mode()
    def features(self, windows: WindowSet) -> Features:
        """Mean squared error of each window, shape (n, 1)."""
        batches = (x.to(self.device) for x in windows.batches(256))
        found = [reconstruction_error(self.encoder, self.decoder, x).cpu() for x in batches]
        return torch.cat(found)[:, None].numpy()


@dataclass(kw_only=True)
class Anomaly(Evaluation):
    """Fit anomaly detectors on the embeddings of normal train samples, and score the test patients once.

    No abnormal sample is used for fitting, settings or thresholds. The threshold is the one that 95 % of normal train
    samples pass, each scored by detectors fitted on other patients; for the pretrained encoder only patients outside
    the pretraining set count, where there are five. PCA and MiniRocket are fitted on all normal train samples at once,
    held-out ones too, so their thresholds are too low. Where beats are labelled, every system stands with and without
    four causal RR features, whose detector's score is added by Fisher's method. The reconstruction error is also that
    of the raw signal, as by a linear autoencoder, and where the encoder was pretrained as an autoencoder, its own.
    Prints a table per detector and writes them as JSON and CSV, with ROC curves, charts, and the most anomalous strips.

    Examples:
        python -m ssl_ecg.anomaly runs/simclr-mitbih --data MITBIH --data.root data/mitdb
        python -m ssl_ecg.anomaly runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --data.labels super

    Args:
        normal: the normal classes: a sample is normal that has one of them and no other. N, NORM or NSR by default,
            whichever the data set has.
        detectors: which; the first is the one that figures show.
        normal_patients: fit only on patients without any abnormal sample, rather than on the normal samples of all
            train patients. Of MIT-BIH's 22 there are two.
    """

    question: ClassVar[str] = "anomaly"

    normal: tuple[str, ...] = ()
    detectors: tuple[DetectorName, ...] = ("knn", "mahalanobis", "forest", "reconstruction")
    normal_patients: bool = False

    def check(self) -> None:
        """Refuse, before any work, settings that cannot be used, by a UserError."""
        super().check()
        if not self.detectors or len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"detectors must name each of some of {', '.join(DETECTORS)} once, got {self.detectors}")
        check_normal(self.normal_classes, self.data.classes)

    @property
    def normal_classes(self) -> tuple[str, ...]:
        """The classes that are normal; UserError if none was named and the data set has none of the usual names."""
        usual = tuple(name for name in _NORMAL if name in self.data.classes)[:1]
        if not self.normal and not usual:
            raise UserError(f"which class is normal? Set normal to some of {', '.join(self.data.classes)}")
        return tuple(self.normal) or usual

    def run(self) -> Results:
        """Fit, score, print and write: scores of every system (`system`) and detector (`predictor`).

        UserError for a checkpoint, data, classes or a folder that cannot be used, or a patient on both sides.
        """
        folder, study = self.open()
        study = replace(study, train=normal_train(study, self.normal_classes, self.normal_patients))
        benchmark = AnomalyBenchmark(
            study.labels(study.train),
            study.labels(study.test),
            self.data.classes,
            self.normal_classes,
            subsets=self.data.subsets,
            resamples=self.resamples,
            seed=self.seed,
        )
        found = self._detections(study, benchmark, self.systems(study))
        who = len(set(study.train.patient.tolist()))
        fitted_on = f"{len(study.train):,} normal samples ({', '.join(self.normal_classes)}) of {who} train patients"
        kind = origin(self.data.simulated)
        show(found, benchmark, title=f"{self.checkpoint}: {{}}, test patients, {kind}")
        print(
            f"Fitted on {fitted_on}, scored with 95 % intervals by bootstrap over "
            f"{len(set(study.test.patient.tolist()))} test patients; {study.setting}."
        )
        facts = {"setting": study.setting, "simulated": self.data.simulated, **about(found, benchmark)}
        made = rows(found, **self.where)
        return self.publish(folder, made, figures(found, benchmark, study.test, kind), facts)

    def _detections(self, study: Study, benchmark: AnomalyBenchmark, systems: Sequence[System]) -> list[Detection]:
        """Every detector on every system, alone and with RR, the pretrained encoder first."""
        chosen = {DETECTORS[name].name: self._make(DETECTORS[name]) for name in self.detectors}
        # RR first, which joins the others, and the pretrained encoder last: it is compared with them.
        order = [*reversed(systems)]
        order.sort(key=lambda system: not isinstance(system, Rhythm))
        joined = next((system.joined for system in systems if isinstance(system, Rhythm)), "")
        rhythm: dict[str, Detection] = {}
        found: dict[str, list[Detection]] = {}
        for system in order:
            pretrained = system is systems[0]
            print(f"fitting on {system.name} ...", file=sys.stderr, flush=True)
            features = system.features(study.train), system.features(study.test)
            judged = study.judged if pretrained else None
            alone = [other for other in found if not (joined and other.endswith(joined))] if pretrained else []
            mine = benchmark.run(system.name, features, chosen, judged=judged, versus=alone)
            found[system.name] = mine
            if isinstance(system, Rhythm):
                rhythm = {d.detector: d for d in mine}
            elif rhythm:
                others = [other for other in found if other.endswith(joined)] + [order[0].name] if pretrained else []
                both = system.name + joined
                found[both] = [benchmark.combine(both, d, rhythm[d.detector], others) for d in mine]
        last = []
        if "reconstruction" in self.detectors:
            raw, name = RawSignal(), DETECTORS["reconstruction"].name
            last = benchmark.run(raw.name, (raw.features(study.train), raw.features(study.test)), {name: chosen[name]})
            if (decoder := study.encoder.decoder) is not None:
                own = Reconstructed(study.encoder.encoder, decoder, self.at)
                errors = own.features(study.train), own.features(study.test)
                last += benchmark.run(own.name, errors, {name: Given}, judged=study.judged)
        shown = [name + ending for s in systems for name, ending in ((s.name, joined), (s.name, ""))]
        return [d for name in dict.fromkeys(shown) if name in found for d in found[name]] + last

    def _make(self, detector: type[Detector]) -> Callable[[], Detector]:
        return lambda: detector().on(self.at)


def normal_train(study: Study, normal: tuple[str, ...], normal_patients: bool) -> WindowSet:
    """Normal windows of the train patients, or of those without others; UserError for fewer than two such patients."""
    train = study.train
    chosen = normal_samples(train.targets, study.data.classes, normal)
    if normal_patients:
        chosen &= ~np.isin(train.patient, train.patient[~chosen])
    if len(set(train.patient[chosen].tolist())) < 2:
        who = "train patients without any abnormal sample" if normal_patients else "train patients with normal samples"
        raise UserError(f"{study.name} has fewer than two {who} ({', '.join(normal)})")
    return train.where(chosen)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Anomaly, argv)

"""`python -m ssl_ecg.anomaly`: whether what is abnormal lies apart from normal ECG in the frozen embeddings."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_ecg import cli
from ssl_ecg.anomaly.benchmark import AnomalyBenchmark, Detection, check_normal, normal_samples
from ssl_ecg.anomaly.detectors import DETECTORS, Reconstruction
from ssl_ecg.anomaly.report import write_report
from ssl_ecg.data.sources import Source
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.files import ensure_writable
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.study import Study, System, open_study, systems
from ssl_ecg.study.systems import WITH_RR, Features, Rhythm, check_names

DetectorName = Literal["knn", "mahalanobis", "forest", "reconstruction"]

_NORMAL = ("N", "NORM", "NSR")  # what data sets call it


class RawSignal(System):
    """The windows themselves, sample by sample: what an autoencoder redraws."""

    name = "raw signal"

    def features(self, windows: WindowSet) -> Features:
        """Samples of all leads, shape (n, C T)."""
        return np.concatenate([x.flatten(1).numpy() for x in windows.batches()])


def anomaly(
    checkpoint: str,
    data: Source,
    *,
    normal: tuple[str, ...] = (),
    detectors: tuple[DetectorName, ...] = ("knn", "mahalanobis", "forest", "reconstruction"),
    normal_patients: bool = False,
    beside: list[str] | None = None,
    resamples: int = 1000,
    components: int = 64,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[Detection]:
    """Fit anomaly detectors on the embeddings of normal train samples, and score the test patients once.

    No detector sees an abnormal sample, and nothing is chosen by one: neither settings nor thresholds. The threshold is
    the one that 95 % of normal train samples pass, each scored by detectors that were fitted on other patients; for the
    pretrained encoder those judge whom it has not seen, where there are five. Pretraining itself, which reads no
    label, has seen all samples of its patients. Always beside the untrained encoder, the PCA of the raw signal,
    features made by hand and, with aeon installed, MiniRocket. PCA and MiniRocket are fitted on all the normal samples
    at once, so those that are held out are not quite new to them, and their thresholds too low. Where beats are
    labelled, each stands with and without four causal RR features, whose detector's score is added by Fisher's method.
    The reconstruction error is also that of the raw signal, as by a linear autoencoder.
    Prints a table per detector and writes them as JSON and CSV, with ROC curves, charts, and the most anomalous strips.

    Examples:
        python -m ssl_ecg.anomaly runs/simclr-mitbih --data MITBIH --data.root data/mitdb
        python -m ssl_ecg.anomaly runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --data.labels super

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        normal: the normal classes: a sample is normal that has one of them and no other. N, NORM or NSR by default,
            whichever the data set has.
        detectors: which; the first is the one that figures show.
        normal_patients: fit only on patients who have no abnormal sample at all, rather than on the normal samples
            of all train patients. Of MIT-BIH's 22 there are two.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all by default.
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        components: of the PCA of the raw signal.
        seed: of the untrained encoder's weights and of the bootstrap.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: folder of the results; anomaly-DATA beside the checkpoint by default.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        One result per system and detector.

    Raises:
        UserError: for a checkpoint, data, classes or a folder that cannot be used, or a patient on both sides.
    """
    if not detectors or len(set(detectors)) < len(detectors):
        raise UserError(f"detectors must name each of some of {', '.join(DETECTORS)} once, got {list(detectors)}")
    check_names(beside)
    check_components(components)
    check_resamples(resamples)
    name = type(data).__name__
    folder = Path(out) if out else Path(checkpoint) / f"anomaly-{name.lower()}"
    ensure_writable(folder)
    usual = tuple(c for c in _NORMAL if c in data.classes)[:1]
    if not normal and not usual:
        raise UserError(f"which class is normal? Set normal to some of {', '.join(data.classes)}")
    normal = normal or usual
    check_normal(normal, data.classes)
    study = open_study(checkpoint, data, cache)
    study = replace(study, train=normal_train(study, normal, normal_patients))
    benchmark = AnomalyBenchmark(
        study.labels(study.train),
        study.labels(study.test),
        data.classes,
        normal,
        exclude=[record for records in data.shared_patients.values() for record in records],
        resamples=resamples,
        seed=seed,
    )
    found = run(study, benchmark, systems(study, components=components, seed=seed, beside=beside), detectors)
    who = len(set(study.train.patient.tolist()))
    write_report(
        folder,
        found,
        benchmark,
        study.test,
        setting=study.setting,
        fitted_on=f"Fitted on {len(study.train):,} normal samples ({', '.join(normal)}) of {who} train patients, "
        "scored with 95 % intervals by bootstrap over",
        simulated=data.simulated,
        checkpoint=str(checkpoint),
        config=config,
    )
    return found


def normal_train(study: Study, normal: tuple[str, ...], normal_patients: bool) -> WindowSet:
    """The normal windows of the train patients, or of those of them who have no other.

    Raises:
        UserError: if fewer than two patients have any.
    """
    train = study.train
    chosen = normal_samples(train.targets, study.data.classes, normal)
    if normal_patients:
        chosen &= ~np.isin(train.patient, train.patient[~chosen])
    if len(set(train.patient[chosen].tolist())) < 2:
        who = "train patients without any abnormal sample" if normal_patients else "train patients with normal samples"
        raise UserError(f"{study.name} has fewer than two {who} ({', '.join(normal)})")
    return train.where(chosen)


def run(
    study: Study, benchmark: AnomalyBenchmark, all_systems: list[System], detectors: tuple[DetectorName, ...]
) -> list[Detection]:
    """Every detector on every system, alone and with RR, the pretrained encoder first."""
    chosen = {DETECTORS[name].name: DETECTORS[name] for name in detectors}
    # RR first, which joins the others, and the pretrained encoder last: it is compared with them.
    order = [*reversed(all_systems)]
    order.sort(key=lambda system: not isinstance(system, Rhythm))
    rhythm: dict[str, Detection] = {}
    found: dict[str, list[Detection]] = {}
    for system in order:
        pretrained = system is all_systems[0]
        print(f"fitting on {system.name} ...", file=sys.stderr, flush=True)
        features = system.features(study.train), system.features(study.test)
        judged = study.judged if pretrained else None
        alone = [other for other in found if not other.endswith(WITH_RR)]
        mine = benchmark.run(system.name, features, chosen, judged=judged, versus=alone if pretrained else [])
        found[system.name] = mine
        if isinstance(system, Rhythm):
            rhythm = {d.detector: d for d in mine}
        elif rhythm:
            others = [other for other in found if other.endswith(WITH_RR)] + [Rhythm.name]
            both = system.name + WITH_RR
            found[both] = [benchmark.combine(both, d, rhythm[d.detector], others if pretrained else []) for d in mine]
    last = []
    if "reconstruction" in detectors:
        raw = RawSignal()
        features = raw.features(study.train), raw.features(study.test)
        last = benchmark.run(raw.name, features, {Reconstruction.name: Reconstruction})
    shown = [name + ending for s in all_systems for name, ending in ((s.name, WITH_RR), (s.name, ""))]
    return [d for name in shown if name in found for d in found[name]] + last


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        parsed = cli.parse(anomaly, argv)
        anomaly(**parsed.instantiate())

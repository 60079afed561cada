"""`python -m ssl_ecg.probe`: what the frozen embeddings of a checkpoint are worth on labelled ECG."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg import cli
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.progress import track
from ssl_ecg.data.sources import Source
from ssl_ecg.data.splits import check_disjoint
from ssl_ecg.data.store import Store
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.data.windows import labelled, report_short
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import DataError
from ssl_ecg.evaluation.baselines import pca_features
from ssl_ecg.evaluation.benchmark import Benchmark, Labels, Result
from ssl_ecg.evaluation.rhythm import rr_features
from ssl_ecg.files import ensure_writable
from ssl_ecg.report.probe import write_report
from ssl_ecg.training.embedding import embed

# F is nearly one patient's in MIT-BIH, so the field also averages over the other three.
_SUBSETS: dict[tuple[str, ...], list[tuple[str, ...]]] = {("N", "S", "V", "F"): [("N", "S", "V")]}

_JUDGES = 5  # patients, at least, to judge settings by: as many as there are folds

Features = NDArray[np.float32]
Extract = Callable[[WindowSet], Features]


def probe(
    checkpoint: str,
    data: Source,
    *,
    validate: bool = False,
    resamples: int = 1000,
    components: int = 64,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[Result]:
    """Fit a linear probe on the frozen embeddings of the train patients, and score it once on the test patients.

    Always beside the untrained encoder and the PCA of the raw signal and, where beats are labelled, with and
    without four causal RR features. All that is chosen is chosen by cross-validation inside the train patients,
    and judged, where there are five, by those whom the encoder has not seen: it embeds the patients it was
    pretrained on better than others, so they would say that a weak penalty is enough. The baselines have seen
    nobody and are judged by all. Where a record may belong to several classes, a binary regression is fitted for each,
    and what is chosen is chosen on the validation split, where the data set has one: it is never fitted on. Records
    with none of the task's classes are left out then, as the benchmarks of PTB-XL do.
    Prints a table and writes it as JSON and CSV, with a confusion matrix or the AUROC of every class, a map of the
    embeddings and a chart.

    Examples:
        python -m ssl_ecg.probe runs/simclr-mitbih --data MITBIH --data.root data/mitdb
        python -m ssl_ecg.probe runs/simclr-simulated --data Simulated --validate

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        validate: stop at the cross-validated scores of the train patients, the same ones for all systems. For
            choosing between checkpoints and settings: the test set is not touched.
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        components: of the PCA of the raw signal.
        seed: of the untrained encoder's weights and of the bootstrap.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: folder of the results; probe-DATA beside the checkpoint by default.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        One result per system.

    Raises:
        UserError: for a checkpoint, data or a folder that cannot be used, or a patient on both sides.
    """
    encoder = load_encoder(checkpoint)
    name = type(data).__name__
    folder = Path(out) if out else Path(checkpoint) / f"probe-{name.lower()}"
    ensure_writable(folder)
    store = build(data, encoder.preprocessing, cache, workers=0, progress=f"preparing {name}")
    report_short(store, encoder.preprocessing.samples)
    train, test = labelled_sides(store, data, encoder)
    validation = validation_of(train) if data.multilabel else None
    judged = unseen_by(encoder, store.cohort, train, validation)
    rhythm = rhythm_of(store) if data.task == "beat" else None

    untrained = _untrained(encoder, seed)
    pca = _projected(train, test, components)
    systems: list[tuple[str, Extract]] = [
        ("pretrained", lambda side: _embeddings(encoder.encoder, side)),
        ("untrained", lambda side: _embeddings(untrained, side)),
        ("raw PCA", lambda side: pca[side is test]),
    ]
    benchmark = Benchmark(
        _labels(train, data),
        _labels(test, data),
        data.classes,
        subsets=_SUBSETS.get(tuple(data.classes), []),
        validation=validation,
        exclude=[record for records in data.shared_patients.values() for record in records],
        resamples=resamples,
        seed=seed,
    )
    results: list[Result] = []
    tests: dict[str, dict[str, Features]] = {}
    # The baselines first: the pretrained encoder is compared with them.
    for system, extract in reversed(systems):
        blocks = [{system: extract(side)} for side in (train, test)]
        variants = [(system, blocks)]
        if rhythm is not None:
            with_rr = [
                b | {"RR": rhythm[side.index.beat.numpy()]} for b, side in zip(blocks, (train, test), strict=True)
            ]
            variants.append((f"{system} + RR", with_rr))
            if system == "raw PCA":
                variants.insert(0, ("RR alone", [{"RR": b["RR"]} for b in with_rr]))
        for title, (fit_on, score_on) in variants:
            print(f"fitting {title} ...", file=sys.stderr, flush=True)
            fitted = benchmark.fit(title, fit_on, judged if validate or system == "pretrained" else None)
            tests[title] = score_on
            if not validate:
                ending = " + RR" if title.endswith("+ RR") else ""
                others = [f"untrained{ending}", f"raw PCA{ending}"] if system == "pretrained" else []
                others += ["RR alone"] if ending and system == "pretrained" else []
                fitted = benchmark.score(fitted, score_on, others)
            results.append(fitted)
    results.reverse()
    write_report(
        folder,
        results,
        benchmark,
        setting=_validated(judged, train) if validate else _setting(encoder.saw(store.cohort, _patients(test)), data),
        simulated=data.simulated,
        checkpoint=str(checkpoint),
        embeddings=None if validate else tests["pretrained"]["pretrained"],
        config=config,
    )
    return results


def labelled_sides(store: Store, data: Source, encoder: PretrainedEncoder) -> tuple[WindowSet, WindowSet]:
    """The labelled windows to fit on (train and val patients) and to score on (test patients).

    Where a window may belong to several classes, one that belongs to none is not labelled.

    Raises:
        DataError: if a side is empty, or a patient is on both without the protocol saying so.
    """
    index = labelled(store).index(store, encoder.preprocessing.samples)
    everything = WindowSet(store, encoder.preprocessing, index)
    everything = everything.where(np.asarray(everything.targets.any(axis=1)))
    test = everything.split == "test"
    sides = everything.where(~test), everything.where(test)
    for side, what in zip(sides, ("train", "test"), strict=True):
        if not len(side):
            raise DataError(f"{type(data).__name__} has no labelled windows in its {what} split")
    check_disjoint(
        sides[0].patient.tolist(), sides[1].patient.tolist(), "train and test", frozenset(data.shared_patients)
    )
    return sides


def validation_of(train: WindowSet) -> NDArray[np.bool_] | None:
    """Which train windows are of the data set's validation split, shape (n,); None if it has no such split."""
    mine = train.split == "val"
    return mine if mine.any() else None


def unseen_by(
    encoder: PretrainedEncoder, name: str, train: WindowSet, validation: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Which train windows are of patients the encoder has not seen, shape (n,); None for under five such patients.

    Where there is a validation split, only its patients can judge, and only they count.
    """
    who = train.patient if validation is None else train.patient[validation]
    patients = sorted(set(who.tolist()))
    unseen = sorted(set(patients) - set(encoder.saw(name, patients)))
    return np.isin(train.patient, unseen) if len(unseen) >= _JUDGES else None


def _patients(side: WindowSet) -> list[str]:
    return sorted(set(side.patient.tolist()))


def rhythm_of(store: Store) -> Features:
    """Causal RR features of every beat of a store, in its order: shape (beats, 4)."""
    fs = store.records["source_fs"].to_numpy()
    record, peaks = store.beats["record"].to_numpy(), store.beats["r_peak"].to_numpy()
    ends = np.flatnonzero(np.diff(record)) + 1
    return np.concatenate(
        [rr_features(part, fs[row]) for row, part in zip(record[np.r_[0, ends]], np.split(peaks, ends), strict=True)]
    )


def _embeddings(encoder: Encoder, side: WindowSet) -> Features:
    return embed(encoder, track(side.batches(), -(-len(side) // 1024), "embedding")).numpy()


def _untrained(encoder: PretrainedEncoder, seed: int) -> Encoder:
    """The same architecture with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(encoder.encoder)(**encoder.encoder.arguments)
    return fresh.eval()


def _projected(train: WindowSet, test: WindowSet, components: int) -> tuple[Features, ...]:
    def stacked(batches: Iterable[Tensor]) -> Features:
        return torch.cat(list(batches)).numpy()

    return pca_features(stacked(train.batches()), stacked(test.batches()), n_components=components)


def _labels(side: WindowSet, data: Source) -> Labels:
    return Labels(side.targets if data.multilabel else side.label, side.patient, side.record)


def _setting(seen: list[str], data: Source) -> str:
    """Whether the encoder had seen test patients, unlabelled, in pretraining."""
    shared = [patient for patient in seen if patient in data.shared_patients]
    if not seen:
        return "inductive: no test patient was in pretraining"
    if len(shared) == len(seen):
        records = ", ".join(record for patient in shared for record in data.shared_patients[patient])
        return f"inductive, but for the one subject of records {records} whom the protocol has on both sides"
    return f"transductive: {len(seen)} test patient(s) were in pretraining"


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
    with cli.reporting_errors():
        parsed = cli.parse(probe, argv)
        probe(**parsed.instantiate())


if __name__ == "__main__":
    main()

"""`python -m ssl_ecg.probe`: what the frozen embeddings of a checkpoint are worth on labelled ECG."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg import cli
from ssl_ecg.data.sources import Source
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.files import ensure_writable
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.probe.report import write_report
from ssl_ecg.study import Study, System, check_names, open_study, systems
from ssl_ecg.study.benchmark import Benchmark, Result
from ssl_ecg.study.guard import check_untaught
from ssl_ecg.study.systems import PRETRAINED, WITH_RR, Rhythm

# F is nearly one patient's in MIT-BIH, so the field also averages over the other three.
_SUBSETS: dict[tuple[str, ...], list[tuple[str, ...]]] = {("N", "S", "V", "F"): [("N", "S", "V")]}

Features = NDArray[np.float32]


def probe(
    checkpoint: str,
    data: Source,
    *,
    validate: bool = False,
    beside: list[str] | None = None,
    resamples: int = 1000,
    components: int = 64,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[Result]:
    """Fit a linear probe on the frozen embeddings of the train patients, and score it once on the test patients.

    Always beside the untrained encoder, the PCA of the raw signal, features made by hand and, with aeon installed,
    MiniRocket; and, where beats are labelled, with and without four causal RR features. All that is chosen is chosen
    by cross-validation inside the train patients, and judged, where there are five, by those whom the encoder has not
    seen: it embeds the patients it was pretrained on better than others, so they would say that a weak penalty is
    enough. The baselines have seen nobody and are judged by all. Where a record may belong to several classes, a
    binary regression is fitted for each, and what is chosen is chosen on the validation split, where the data set has
    one: it is never fitted on. Records with none of the task's classes are left out then, as the benchmarks of PTB-XL
    do.
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
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all by default.
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
    name = type(data).__name__
    folder = Path(out) if out else Path(checkpoint) / f"probe-{name.lower()}"
    ensure_writable(folder)
    check_names(beside)
    check_components(components)
    check_resamples(resamples)
    study = open_study(checkpoint, data, cache)
    train, test = study.train, study.test
    if validate:
        check_untaught(study.encoder, study.store.cohort, _judging(study), data)
    benchmark = Benchmark(
        study.labels(train),
        study.labels(test),
        data.classes,
        subsets=_SUBSETS.get(tuple(data.classes), []),
        validation=study.validation,
        exclude=[record for records in data.shared_patients.values() for record in records],
        resamples=resamples,
        seed=seed,
    )
    results: list[Result] = []
    tests: dict[str, dict[str, Features]] = {}
    # The baselines first: the pretrained encoder is compared with them.
    for title, extract in reversed(variants(systems(study, components=components, seed=seed, beside=beside))):
        pretrained = title.startswith(PRETRAINED)
        blocks = extract(train)
        print(f"fitting {title} ...", file=sys.stderr, flush=True)
        fitted = benchmark.fit(title, blocks, study.judged if validate or pretrained else None)
        if not validate:
            tests[title] = extract(test)
            others = [r.system for r in results if title.endswith(WITH_RR) == r.system.endswith((WITH_RR, Rhythm.name))]
            fitted = benchmark.score(fitted, tests[title], others if pretrained else [])
        results.append(fitted)
    results.reverse()
    write_report(
        folder,
        results,
        benchmark,
        setting=_validated(study.judged, train) if validate else study.setting,
        simulated=data.simulated,
        checkpoint=str(checkpoint),
        embeddings=None if validate else tests[PRETRAINED][PRETRAINED],
        config=config,
    )
    return results


def variants(found: Sequence[System]) -> list[tuple[str, Callable[[WindowSet], dict[str, Features]]]]:
    """What is probed, by name: every system's features, and where beats have a rhythm, those and the rhythm's.

    Features of a system are made once for each side.
    """
    rhythm = next((system for system in found if isinstance(system, Rhythm)), None)

    def blocks(*of: System) -> Callable[[WindowSet], dict[str, Features]]:
        return lambda side: {("RR" if system is rhythm else system.name): features(system, side) for system in of}

    kept: dict[tuple[str, int], Features] = {}

    def features(system: System, side: WindowSet) -> Features:
        key = system.name, id(side)
        if key not in kept:
            kept[key] = system.features(side)
        return kept[key]

    made = []
    for system in found:
        if rhythm is not None and system is not rhythm:
            made.append((f"{system.name}{WITH_RR}", blocks(system, rhythm)))
        made.append((system.name, blocks(system)))
    return made


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
    with cli.reporting_errors():
        parsed = cli.parse(probe, argv)
        probe(**parsed.instantiate())

"""`python -m ssl_ecg.few_label`: what frozen embeddings are worth when few patients are labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_ecg import cli
from ssl_ecg.data.progress import bar
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.few_label.predictors import FewLabelMethod, few_label_methods
from ssl_ecg.few_label.report import FewLabelResult, write_few_label
from ssl_ecg.files import ensure_writable
from ssl_ecg.metrics.bootstrap import Bootstrap, Resampled, check_resamples
from ssl_ecg.study import check_few_labels, open_study
from ssl_ecg.study.benchmark import bootstrap_of
from ssl_ecg.study.guard import check_untaught
from ssl_ecg.study.label_draws import Draw, check_fractions, label_draws
from ssl_ecg.study.sides import label_sides
from ssl_ecg.study.systems import Frozen, RawPCA, System, untrained

METHODS = ("kNN", "linear probe", "label spreading", "self-training")


def few_label(
    checkpoint: str,
    data: Source,
    *,
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0),
    seeds: int = 5,
    methods: tuple[str, ...] = METHODS,
    validate: bool = False,
    components: int = 64,
    resamples: int = 1000,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[FewLabelResult]:
    """Predict test patients from the labels of some train patients, several ways, on frozen features.

    kNN and a linear probe read the labelled samples alone; label spreading and self-training use the unlabelled train
    samples too. Always beside the same on the untrained encoder's features and the PCA of the raw signal. With all
    labels, kNN is the usual kNN row. Draws of the labels take whole patients, of every class as far as they go, each
    inside the larger ones.

    Whatever is chosen is chosen by cross-validation over the labelled patients, and fixed where they are too few.
    Patients of a validation split are drawn in the same share and are labelled like the others: each method learns
    from them and is judged by them. Not so in probe and sweep, where such a split only chooses, and where patients the
    encoder has not seen judge it: the linear probe here has more labels to learn from, and its scores are not theirs.

    Prints tables and writes them as JSON and CSV, with label-efficiency curves.

    Examples:
        python -m ssl_ecg.few_label runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl
        python -m ssl_ecg.few_label runs/simclr-mitbih --data MITBIH --fractions 0.05,0.25,1 --methods kNN

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        fractions: of the train patients who are labelled, above 0, at most 1.
        seeds: draws of each fraction; all patients are one draw.
        methods: which of kNN, linear probe, label spreading and self-training.
        validate: score validation patients, and draw the labels from the others: those of the data set's validation
            split, or a fifth of the train patients. For choosing between checkpoints: the test set is not touched.
        components: of the PCA of the raw signal.
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        seed: of the untrained encoder's weights and of the bootstrap.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: folder of the results; few-label-DATA beside the checkpoint by default.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        A result for each method, system and fraction.

    Raises:
        UserError: for settings, a checkpoint, data or a folder that cannot be used, or a patient on both sides.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise UserError(f"methods must be some of {', '.join(METHODS)}, not {', '.join(unknown) or 'none'}")
    check_fractions(fractions, seeds)
    check_components(components)
    check_resamples(resamples)
    name = type(data).__name__
    folder = Path(out) if out else Path(checkpoint) / f"few-label-{name.lower()}"
    ensure_writable(folder)
    study = open_study(checkpoint, data, cache)
    if min(fractions) < 1:
        check_few_labels(study)
    train, test, split = study.train, study.test, study.validation
    if validate:
        sides = label_sides(study, seed=seed)
        train, test, split = sides.learn, sides.validation, None
        check_untaught(study.encoder, study.store.cohort, test, data)
    labels, truth = study.labels(train), study.labels(test)
    draws = label_draws(labels.patients, train.targets, fractions, seeds, split)
    bootstrap = bootstrap_of(truth, data.classes, n_resamples=resamples, seed=seed)
    encoder = study.encoder.encoder
    systems: list[System] = [
        Frozen("pretrained", encoder),
        Frozen("untrained", untrained(encoder, seed)),
        RawPCA(train, components),
    ]
    results: list[FewLabelResult] = []
    for system in systems:
        sides_of = system.features(train), system.features(test)
        for method in few_label_methods(*sides_of, labels, len(data.classes)):
            if method.name in methods:
                results += _results(system.name, method, draws, bootstrap)
    write_few_label(
        folder,
        results,
        kind="simulated ECG (no heart was involved)" if data.simulated else "real ECG",
        setting="the test set was not touched" if validate else study.setting,
        about={
            "checkpoint": checkpoint,
            "data": name,
            "simulated": data.simulated,
            "classes": list(data.classes),
            "too_few": _unscored(results[0], data.classes),
            "config": config,
        },
        validated=validate,
    )
    return results


def _results(system: str, method: FewLabelMethod, draws: Sequence[Draw], bootstrap: Bootstrap) -> list[FewLabelResult]:
    """One method on one system's features, on every draw of the labels."""
    runs: dict[float, list[tuple[Resampled, dict[str, float]]]] = {}
    patients: dict[float, int] = {}
    with bar(f"{method.name}, {system}", len(draws)) as advance:
        for draw in draws:
            found = method.predict(draw.rows)
            scored = bootstrap.resample(found.probabilities, found.decision)
            runs.setdefault(draw.fraction, []).append((scored, found.setting))
            patients[draw.fraction] = len(np.unique(method.patients[draw.rows]))
            advance(1)
    return [
        FewLabelResult(system, method.name, fraction, patients[fraction], *zip(*found, strict=True))
        for fraction, found in runs.items()
    ]


def _unscored(result: FewLabelResult, classes: Sequence[str]) -> list[str]:
    """Classes that too few of the scored patients have, or lack."""
    return [name for name in classes if f"auroc_{name}" not in result.intervals]


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        parsed = cli.parse(few_label, argv)
        few_label(**parsed.instantiate())

"""`python -m ssl_ecg.cross_validate`: the linear probe by folds of patients over a whole labelled data set."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg import cli
from ssl_ecg.cross_validate.folds import CrossValidation, Extract, FoldedResult
from ssl_ecg.cross_validate.report import write_report
from ssl_ecg.data.sources import Source
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.files import ensure_writable
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.study import System, check_names, open_study, open_whole, systems
from ssl_ecg.study.guard import check_untaught, seen_by
from ssl_ecg.study.systems import PRETRAINED

Features = NDArray[np.float32]


def cross_validate(
    checkpoint: str,
    data: Source,
    *,
    folds: int = 5,
    validate: bool = False,
    beside: list[str] | None = None,
    resamples: int = 1000,
    components: int = 64,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[FoldedResult]:
    """Fit and score a linear probe of the frozen embeddings fold by fold, over all patients of a data set.

    Where one test fold is too small to tell systems apart, such as a subset of PTB-XL. The data set's own split is not
    looked at: all patients are dealt into folds, each is scored once by a probe of the others, which chooses its
    penalty by cross-validation inside them. Patients who were in pretraining, without their labels, are counted and
    said: the result is transductive for them. Beside it stand the systems of `python -m ssl_ecg.probe`.
    Prints a table and writes it as JSON and CSV, with a chart.

    Examples:
        python -m ssl_ecg.cross_validate runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --validate
        python -m ssl_ecg.cross_validate runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        folds: how many.
        validate: leave the test patients out. For choosing between checkpoints and settings.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all by default.
        resamples: bootstrap resamples of each fold's patients for the 95 % intervals.
        components: of the PCA of the raw signal.
        seed: of the untrained encoder's weights and of the bootstrap.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: folder of the results; cross-validate-DATA, or validate-DATA, beside the checkpoint by default.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        One result per system.

    Raises:
        UserError: for a checkpoint, data or a folder that cannot be used, or an encoder that was fine-tuned on labels
            of those who are scored.
    """
    name = type(data).__name__
    kind = "validate" if validate else "cross-validate"
    folder = Path(out) if out else Path(checkpoint) / f"{kind}-{name.lower()}"
    ensure_writable(folder)
    check_names(beside)
    check_components(components)
    check_resamples(resamples)
    study = (open_study if validate else open_whole)(checkpoint, data, cache)
    everything = study.train
    check_untaught(study.encoder, study.store.cohort, everything, data)
    validation = CrossValidation(study.labels(everything), data.classes, n_folds=folds, resamples=resamples, seed=seed)
    made: dict[str, Features] = {}

    def extract_of(system: System) -> Extract:
        def extract(
            fit_on: NDArray[np.bool_], score_on: NDArray[np.bool_]
        ) -> tuple[dict[str, Features], dict[str, Features]]:
            if system.fitted:
                sides = everything.where(fit_on), everything.where(score_on)
                of_fold = replace(study, train=sides[0], test=sides[1])
                again = systems(of_fold, components=components, seed=seed, beside=[system.name])[-1]
                first, second = (again.features(side) for side in sides)
            else:  # the same whoever is trained on: made once
                if system.name not in made:
                    made[system.name] = system.features(everything)
                first, second = (made[system.name][side] for side in (fit_on, score_on))
            return {system.name: first}, {system.name: second}

        return extract

    results: list[FoldedResult] = []
    # The baselines first: the pretrained encoder is compared with them.
    for system in reversed(systems(study, components=components, seed=seed, beside=beside)):
        print(f"fitting {system.name} ...", file=sys.stderr, flush=True)
        results.append(validation.run(system.name, extract_of(system), results if system.name == PRETRAINED else []))
    results.reverse()
    everybody, seen = set(everything.patient.tolist()), seen_by(study.encoder, everything)
    setting = (
        f"transductive: {len(seen)} of the {len(everybody)} patients were in pretraining, without their labels"
        if seen
        else "inductive: no patient was in pretraining"
    )
    if validate:
        setting += "; the test patients were left out"
    write_report(folder, results, validation, setting=setting, checkpoint=checkpoint, data=data, config=config)
    return results


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        parsed = cli.parse(cross_validate, argv)
        cross_validate(**parsed.instantiate())

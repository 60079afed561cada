"""`python -m ssl_ecg.sweep`: what frozen embeddings are worth with few labels and with many."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ssl_ecg import cli
from ssl_ecg.data.progress import track
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.estimators.probes import CS, ascending
from ssl_ecg.files import ensure_writable
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.study import Study, check_few_labels, check_names, open_study, systems
from ssl_ecg.study.label_draws import check_fractions
from ssl_ecg.study.systems import PRETRAINED, Frozen
from ssl_ecg.sweep.cells import Cell, SharedFeatures, cell_of, file_name
from ssl_ecg.sweep.label_efficiency import LabelEfficiency
from ssl_ecg.sweep.report import log_to_wandb, write_report
from ssl_ecg.training.device import pick_device


def sweep(
    checkpoints: list[str],
    data: list[Source],
    *,
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0),
    seeds: int = 5,
    cs: tuple[float, ...] = CS,
    beside: tuple[str, ...] = ("untrained", "raw PCA"),
    components: int = 64,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    out: str = "runs/sweep",
    cache: str | None = None,
    wandb: Literal["off", "offline", "online"] = "off",
    config: dict[str, Any] | None = None,
) -> list[Cell]:
    """Probe checkpoints on tasks with a share of the labels, with several draws of each share.

    A task is a data set with its labels: `--data PTBXL,PTBXL --data.0.labels super --data.1.labels all` are two, and in
    a file each is an item of a list. Every checkpoint embeds a data set once; all classes and all values of C are
    fitted together, for each draw of the labels, as binary logistic regressions, also where classes exclude each other.
    Whole patients are drawn, stratified by class, the validation split's by the same share, and each draw lies inside
    the larger ones of its seed. C is chosen by the drawn validation patients or, without such a split, by leaving drawn
    patients out in turn; where fewer than five could judge, it is the value nearest to 1 / (number of features). Test
    patients are scored with the chosen C alone. Beside each checkpoint stand the same encoder untrained and the PCA of
    the raw signal.

    The folder OUT keeps embeddings and finished parts: the same command goes on with a stopped sweep, and what other
    settings made is made anew. It ends with a table, `results.csv`, `results.json` and two figures.

    Examples:
        python -m ssl_ecg.sweep runs/simclr-ptbxl --data PTBXL --data.0.root data/ptb-xl
        python -m ssl_ecg.sweep runs/simclr-ptbxl,runs/byol-ptbxl --config experiments/sweeps/ptbxl.yaml --seeds 10

    Args:
        checkpoints: folders of runs or of checkpoints, with commas between them.
        data: the tasks: labelled data sets.
        fractions: shares of the train and validation patients whose labels are known.
        seeds: draws of each share below 1.
        cs: values of C to choose from, as scikit-learn counts them; a larger one regularises less.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket.
        components: of the PCA of the raw signal.
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        seed: of the untrained encoder's weights and of the bootstrap.
        device: where embeddings and probes are computed, such as cpu or cuda; auto takes a GPU if there is one.
        out: folder of the sweep.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        wandb: log a table and the curves to Weights & Biases; "offline" needs no account and can be synced later.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        One cell per system and task.

    Raises:
        UserError: for settings, checkpoints, data or a folder that cannot be used, or a patient on both sides.
    """
    if not checkpoints or not data:
        raise UserError("a sweep needs at least one checkpoint and one data set")
    check_fractions(fractions, seeds)
    check_names(beside)
    ascending(cs)
    check_components(components)
    check_resamples(resamples)
    at = pick_device(device)
    folder = Path(out)
    for part in ("features", "cells"):
        ensure_writable(folder / part)
    tasks = _distinct([_title(source) for source in data])
    labels = _distinct([Path(checkpoint).name for checkpoint in checkpoints])
    # All are opened before anything is embedded: a leak, a foreign file or a wrong name is refused at once.
    work = []
    for label, checkpoint in zip(labels, checkpoints, strict=True):
        for task, source in zip(tasks, data, strict=True):
            study = open_study(checkpoint, source, cache)
            if min(fractions) < 1:
                check_few_labels(study)
            shared = SharedFeatures(study, folder / "features")
            chosen = systems(shared.wide, components=components, seed=seed, beside=beside)
            work.append((label, task, shared, chosen))
    logger = None
    if wandb != "off":
        from ssl_ecg.training.wandb import wandb_logger

        logger = wandb_logger(folder, wandb, config or {})
    settings: dict[str, Any] = {"fractions": fractions, "seeds": seeds, "cs": cs, "resamples": resamples, "seed": seed}
    cells: dict[str, Cell] = {}
    reused: list[str] = []
    for label, task, shared, chosen in work:
        study = shared.study
        arrays = _arrays(study)
        efficiency = LabelEfficiency(**arrays, classes=study.data.classes, device=at, **settings)
        for system in chosen:
            if isinstance(system, Frozen):
                system.encoder.to(at)
            key = shared.key(system, components=components, seed=seed)
            # What the encoder has seen matters to it alone.
            judged, setting = (study.judged, study.setting) if system.name == PRETRAINED else (None, "")
            identity = fingerprint([key, judged, setting, study.data.classes, arrays, settings])
            path = folder / "cells" / f"{file_name(task, system.name)}-{identity}.npz"
            place = f"{task}/{identity}"
            if place in cells:  # the same encoder untrained, or the same PCA, stands beside another checkpoint too
                cells[place] = replace(cells[place], checkpoints=(*cells[place].checkpoints, label))
            elif path.exists():
                cells[place] = replace(Cell.load(path), task=task, checkpoints=(label,))
                reused.append(f"{task}: {system.name} ({label})")
            else:
                print(f"{task}: {system.name} ({label}) ...", file=sys.stderr, flush=True)
                runs = efficiency.run(*shared.of(system, key), judged=judged)
                watched = track(runs, len(efficiency.draws), f"probing {system.name}")
                cells[place] = cell_of(study, task, label, system.name, efficiency, watched)
                cells[place].save(path)
    if reused:
        print(f"finished before, and not made again: {', '.join(reused)}", file=sys.stderr)
    found = list(cells.values())
    figures = write_report(folder, found, simulated=any(source.simulated for source in data), config=config)
    if logger is not None:
        log_to_wandb(logger.experiment, found, figures)
    return found


def _arrays(study: Study) -> dict[str, Any]:
    """Labels and patients of both sides, as `LabelEfficiency` takes them."""
    return {
        "targets": study.train.targets,
        "patients": study.train.patient,
        "test_targets": study.test.targets,
        "test_patients": study.test.patient,
        "validation": study.validation,
    }


def _title(source: Source) -> str:
    """What a task is called: the data set, and which of its labels where it has several kinds."""
    labels = getattr(source, "labels", None)
    return f"{type(source).__name__} {labels}" if isinstance(labels, str) else type(source).__name__


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that occur again with a number."""
    return [f"{name} ({names[:i].count(name) + 1})" if name in names[:i] else name for i, name in enumerate(names)]


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        parsed = cli.parse(sweep, argv)
        sweep(**parsed.instantiate())

"""What `python -m ssl_ecg.finetune` shows and leaves behind: a table, JSON, CSV, learning curves and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.finetune.models import Model
from ssl_ecg.metrics.bootstrap import Resampled, difference
from ssl_ecg.report.score_figures import class_dots
from ssl_ecg.report.style import colour, marker, new_figure, save, tidy
from ssl_ecg.report.tables import print_table, write_csv, write_json
from ssl_ecg.study.benchmark import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = {
    "macro_auroc": "macro AUROC",
    "macro_auprc": "macro AUPRC",
    "macro_f1": "macro F1",
    "macro_f1_NSV": "F1 of N S V",
}


def write_finetuning(
    folder: Path,
    models: Sequence[Model],
    scored: Mapping[str, Resampled],
    without: Mapping[str, Resampled],
    *,
    title: str,
    setting: str,
    about: Mapping[str, Any],
    test: Labels,
    classes: Sequence[str],
) -> None:
    """Print what was trained and write it down.

    Args:
        folder: of the files; what has their names there is replaced, or removed where no class can be scored.
        models: the fine-tuned encoder first; the others are compared with it.
        scored: scores of each on the test patients; empty if the test set was not touched.
        without: the same without recordings that the protocol has on both sides; empty if there are none.
        title: above the table.
        setting: whether the encoder had seen the test patients in pretraining.
        about: what else the JSON says: data, patients, configuration.
        test: labels of the test side.
        classes: the K class names.
    """
    histories = {model.system: model.history for model in models if model.history}
    save(learning_curves(histories, {m.system: m.validation for m in models if not m.history}), folder / "curves.png")
    trained = {
        model.system: {"validation AUROC": model.validation, "best epoch": model.epoch, **model.settings}
        for model in models
    }
    if not scored:
        print_table(trained, title=title)
        write_json({**about, "systems": trained}, folder / "validation.json")
        print(
            f"The test set was not touched. Written to {folder}: validation.json, curves.png, checkpoint/, "
            "head.safetensors"
        )
        return
    intervals = {system: scores.intervals() for system, scores in scored.items()}
    columns = {
        system: {heading: scores[name] for name, heading in _COLUMNS.items() if name in scores}
        for system, scores in intervals.items()
    }
    print_table({system: {**columns[system], **row} for system, row in trained.items()}, title=title)
    print(f"95 % intervals by bootstrap over {len(np.unique(test.patients))} test patients; {setting}.")
    positives = _positives(test, classes)
    shown = {name: n for name, n in positives.items() if f"auroc_{name}" in intervals[models[0].system]}
    too_few = [name for name in classes if name not in shown]
    if too_few:
        print(f"Not scored, because too few test patients have or lack them: {', '.join(too_few)}.")
    first, *others = scored
    versus = {other: difference(scored[first], scored[other]) for other in others}
    for other, differences in versus.items():
        print(f"{first} - {other}: macro AUROC {differences['macro_auroc']}")
    left = {system: scores.intervals() for system, scores in without.items()}
    for system, scores in left.items():
        print(f"without {', '.join(about['excluded'])}: {system}: macro AUROC {scores['macro_auroc']}")
    systems = {
        system: {**row, "scores": intervals[system], "excluded": left.get(system, {})}
        for system, row in trained.items()
    }
    document = {**about, "setting": setting, "too_few": too_few, "systems": systems, "versus": {first: versus}}
    write_json(document, folder / "results.json")
    rows = [
        {"system": system, "score": name, "value": i.value, "low": i.low, "high": i.high}
        for system, scores in intervals.items()
        for name, i in scores.items()
    ]
    write_csv(rows, folder / "results.csv")
    files, classes_figure = ["results.json", "results.csv", "curves.png"], folder / "classes.png"
    if shown:
        save(class_dots(intervals, shown), classes_figure)
        files.append(classes_figure.name)
    else:
        classes_figure.unlink(missing_ok=True)  # of an earlier scoring
    print(f"Written to {folder}: {', '.join(files)}, checkpoint/, head.safetensors")


def _positives(test: Labels, classes: Sequence[str]) -> dict[str, int]:
    """How many test samples have each class."""
    targets = test.y if test.y.ndim == 2 else test.y[:, None] == np.arange(len(classes))
    return dict(zip(classes, targets.sum(axis=0).tolist(), strict=True))


def learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], levels: Mapping[str, float] | None = None
) -> Figure:
    """Training loss, and AUROC of the validation patients, after each epoch; the best epoch is ringed.

    Args:
        histories: metrics of each epoch (`loss`, `val_auroc`), by system.
        levels: validation AUROC of what has no epochs, drawn as a level.
    """
    figure = new_figure(9.5, 3.8)
    loss, area = figure.subplots(1, 2)
    for i, (system, history) in enumerate(histories.items()):
        epochs = [row["epoch"] + 1 for row in history]
        look: dict[str, Any] = {"color": colour(i), "marker": marker(i), "markersize": 3.5}
        loss.plot(epochs, [row["loss"] for row in history], label=system, **look)
        values = [row["val_auroc"] for row in history]
        area.plot(epochs, values, label=system, **look)
        best = int(np.argmax(values))
        area.plot(epochs[best], values[best], "o", markersize=11, markerfacecolor="none", color=colour(i))
    for system, level in (levels or {}).items():
        area.axhline(level, color="#777777", linestyle="--", linewidth=1.2, label=system)
    loss.set_ylabel("training loss (nats)")
    area.set_ylabel("macro AUROC, validation patients")
    for axes in (loss, area):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        tidy(axes)
    handles, labels = area.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
    return figure

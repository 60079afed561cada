"""What `python -m ssl_ecg.finetune` shows and leaves behind: a table, JSON, CSV, learning curves and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssl_ecg.finetune.training import Model
from ssl_ecg.report.figures import class_dots, colour, marker, new_figure, tidy
from ssl_ecg.report.results import Results, Row
from ssl_ecg.report.tables import Value, print_table, too_few
from ssl_ecg.report.wandb import log_results
from ssl_ecg.study.benchmark import Labels, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = {
    "macro_auroc": "macro AUROC",
    "macro_auprc": "macro AUPRC",
    "macro_f1": "macro F1",
}


def write_finetuning(
    folder: Path,
    models: Sequence[Model],
    scored: Sequence[Result],
    *,
    where: Mapping[str, Any],
    about: Mapping[str, Any],
    test: Labels,
    classes: Sequence[str],
    wandb: Literal["off", "offline", "online"] = "off",
) -> Results:
    """Print what was trained and write it down, replacing files of those names in the folder.

    The first of `models` is the fine-tuned encoder; the others are compared with it. `scored` has each one's scores on
    the test patients, empty if the test set was not touched. `where` goes into every row (data set, task, fraction),
    `about` into the JSON (title, setting, patients, excluded recordings, configuration); `classes` are the K names.
    """
    histories = {model.system: model.history for model in models if model.history}
    levels = {model.system: model.validation for model in models if not model.history}
    figures = {"curves.png": learning_curves(histories, levels)}
    trained: dict[str, dict[str, Value]] = {
        model.system: {"validation AUROC": model.validation, "best epoch": model.epoch, **model.settings}
        for model in models
    }
    if not scored:
        rows = [
            Row(system=m.system, subset="validation patients", score="macro_auroc", value=m.validation, **where)
            for m in models
        ]
        results = Results("finetune", rows, {**about, "trained": trained})
        print_table(trained, title=about["title"])
        print("The test set was not touched.")
        results.write(folder, figures, "validation")
        return results
    first, *others = scored
    rows = [row for result in (first.beside(others), *others) for row in result.rows(**where)]
    results = Results("finetune", rows, {**about, "trained": trained})
    positives = dict(zip(classes, test.targets(len(classes)).sum(axis=0).tolist(), strict=True))
    shown = {name: n for name, n in positives.items() if f"auroc_{name}" in first.scores}
    results.about["too_few"] = [name for name in classes if name not in shown]
    table = results.table(_COLUMNS, _COLUMNS)
    print_table({system: {**table[system], **row} for system, row in trained.items()}, title=about["title"])
    print(f"95 % intervals by bootstrap over {len(np.unique(test.patients))} test patients; {about['setting']}.")
    left_out = too_few(results.about["too_few"])
    print("\n".join([*([left_out] if left_out else []), *results.compared("macro_auroc", "macro AUROC")]))
    for result in scored:
        for rest, left in result.subsets.items():
            print(f"{rest}: {result.system}: macro AUROC {left['macro_auroc']}")
    if shown:
        figures["classes.png"] = class_dots({result.system: result.scores for result in scored}, shown)
    else:
        (folder / "classes.png").unlink(missing_ok=True)  # of an earlier scoring
    log_results(results, results.write(folder, figures), folder, wandb)
    return results


def learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], levels: Mapping[str, float] | None = None
) -> Figure:
    """Training loss, and AUROC of the validation patients, after each epoch; the best epoch is ringed.

    `histories` has the metrics of each epoch (`loss`, `val_auroc`) by system, `levels` the AUROC of what has none.
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

"""What `python -m ssl_ecg.cross_validate` shows and leaves behind: a table, JSON, CSV and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_ecg.cross_validate.folds import CrossValidation, FoldedResult
from ssl_ecg.data.source import Source
from ssl_ecg.report.score_figures import METRICS, probe_bars
from ssl_ecg.report.style import save
from ssl_ecg.report.tables import print_table, write_csv, write_json

_COLUMNS = {"macro_auroc": "macro AUROC", "macro_auprc": "macro AUPRC", "macro_f1": "macro F1"}
_FEW_CLASSES = 6  # so many find room in the table


def write_report(
    folder: Path,
    results: Sequence[FoldedResult],
    validation: CrossValidation,
    *,
    setting: str,
    checkpoint: str,
    data: Source,
    config: Mapping[str, Any] | None,
) -> None:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        results: of all systems.
        validation: the folds they were fitted and scored on.
        setting: whether the encoder had seen the patients.
        checkpoint: what was probed.
        data: on what.
        config: all settings of the command.
    """
    kind = "simulated ECG (no heart was involved)" if data.simulated else "real ECG"
    n_folds = int(validation.fold.max()) + 1
    scores = {r.system: r.scores for r in results}
    shown = {
        system: {title: found[name] for name, title in _COLUMNS.items() if name in found}
        | {
            f"AUROC {name}": found[f"auroc_{name}"].value
            for name in validation.classes
            if len(validation.classes) <= _FEW_CLASSES and f"auroc_{name}" in found
        }
        for system, found in scores.items()
    }
    print_table(shown, title=f"{checkpoint}: linear probe, mean of {n_folds} folds of patients, {kind}")
    patients = len(set(validation.labels.patients.tolist()))
    print(f"95 % intervals by bootstrap over the {patients} patients of the folds; {setting}.")
    if validation.too_few:
        print(f"Not scored in every fold, too few patients have or lack them: {', '.join(validation.too_few)}.")
    for r in results:
        for other, apart in r.versus.items():
            d = apart["macro_auroc"]
            print(f"{r.system} - {other}: macro AUROC {d}")
    document = {
        "checkpoint": checkpoint,
        "data": type(data).__name__,
        "setting": setting,
        "simulated": data.simulated,
        "classes": list(validation.classes),
        "too_few": list(validation.too_few),
        "folds": n_folds,
        "samples": len(validation.fold),
        "patients": patients,
        "config": config,
        "systems": {r.system: {"C": list(r.cs), "scores": r.scores, "versus": r.versus} for r in results},
    }
    write_json(document, folder / "results.json")
    rows = [
        {"system": system, "score": name, "value": i.value, "low": i.low, "high": i.high}
        for system, found in scores.items()
        for name, i in found.items()
    ]
    write_csv(rows, folder / "results.csv")
    bars = {**METRICS, "macro_auprc": "macro AUPRC"} if "macro_auprc" in next(iter(scores.values())) else METRICS
    save(probe_bars(scores, bars), folder / "scores.png")
    print(f"Written to {folder}: results.json, results.csv, scores.png")

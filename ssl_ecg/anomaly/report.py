"""What `python -m ssl_ecg.anomaly` shows and leaves behind: tables, JSON, CSV and four figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_ecg.anomaly.benchmark import AnomalyBenchmark, Detection
from ssl_ecg.anomaly.figures import class_dots, detector_dots, roc_figure, strips_figure
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.report.style import save
from ssl_ecg.report.tables import Value, print_table, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity_95": "Se at 95 % Sp",
    "sensitivity": "Se, set",
    "specificity": "Sp, set",
    "macro_auroc": "macro AUROC",
}
_WITH_INTERVAL = ("auroc", "auprc", "sensitivity_95")
_FEW_CLASSES = 6  # so many find room in the table
_CURVES = 8  # so many are told apart


def write_report(
    folder: Path,
    detections: Sequence[Detection],
    benchmark: AnomalyBenchmark,
    windows: WindowSet,
    *,
    setting: str,
    fitted_on: str,
    simulated: bool,
    checkpoint: str,
    config: Mapping[str, Any] | None,
) -> None:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        detections: of all systems; the first is the one that ROC curves and strips show.
        benchmark: what they were scored on.
        windows: the test samples.
        setting: whether the encoder had seen the test patients.
        fitted_on: how many normal samples, of whom.
        simulated: whether no heart was involved.
        checkpoint: whose embeddings were scored.
        config: all settings of the command.
    """
    first = detections[0]
    bootstrap = benchmark.bootstrap
    kind = "simulated ECG (no heart was involved)" if simulated else "real ECG"
    columns = dict(_COLUMNS)
    if len(bootstrap.abnormal) <= _FEW_CLASSES:
        columns |= {f"auroc_{name}": f"AUROC {name}" for name in bootstrap.abnormal}
        columns |= {f"sensitivity_95_{name}": f"{name} Se" for name in bootstrap.abnormal}
    by_detector: dict[str, dict[str, Detection]] = {}
    for d in detections:
        by_detector.setdefault(d.detector, {})[d.system] = d
    for detector, systems in by_detector.items():
        shown: dict[str, dict[str, Value]] = {
            system: {
                title: d.intervals[name] if name in _WITH_INTERVAL else d.intervals[name].value
                for name, title in columns.items()
                if name in d.intervals
            }
            for system, d in systems.items()
        }
        print_table(shown, title=f"{checkpoint}: {detector}, test patients, {kind}")
    prevalence = first.intervals["prevalence"].value
    print(
        f"Abnormal: {100 * prevalence:.1f} % of {len(bootstrap.normal):,} test samples, the AUPRC of chance. "
        "Se at 95 % Sp: where 95 % of the test's own normal samples pass; set: at the threshold that 95 % of held-out "
        "normal train samples pass, with the specificity that it really has."
    )
    print(f"{fitted_on} {len(set(benchmark.test.patients.tolist()))} test patients; {setting}.")
    if bootstrap.too_few:
        print(f"Not scored by themselves, because too few test patients have them: {', '.join(bootstrap.too_few)}.")
    for d in detections:
        for other, scores in d.versus.items():
            if d.detector == first.detector:
                print(f"{d.system} - {other}, {d.detector}: AUROC {scores['auroc']}")
    if benchmark.exclude:
        without = ", ".join(f"{s} {d.excluded['auroc'].value:.3f}" for s, d in by_detector[first.detector].items())
        print(f"AUROC without {', '.join(benchmark.exclude)}, {first.detector}: {without}")
    document = {
        "checkpoint": checkpoint,
        "setting": setting,
        "simulated": simulated,
        "classes": list(benchmark.classes),
        "too_few": list(bootstrap.too_few),
        "normal_train_samples": len(benchmark.normal.y),
        "normal_train_patients": len(set(benchmark.normal.patients.tolist())),
        "test_samples": len(bootstrap.normal),
        "normal_test_samples": int(bootstrap.normal.sum()),
        "excluded": list(benchmark.exclude),
        "config": config,
        "results": [_document(d) for d in detections],
    }
    write_json(document, folder / "results.json")
    rows = [
        {"system": d.system, "detector": d.detector, "score": name, "value": i.value, "low": i.low, "high": i.high}
        for d in detections
        for name, i in d.intervals.items()
    ]
    write_csv(rows, folder / "results.csv")
    figures = _figures(by_detector, first, benchmark, windows, kind)
    for name, figure in figures.items():
        save(figure, folder / name)
    print(f"Written to {folder}: results.json, results.csv, {', '.join(figures)}")


def _figures(
    by_detector: Mapping[str, Mapping[str, Detection]],
    first: Detection,
    benchmark: AnomalyBenchmark,
    windows: WindowSet,
    kind: str,
) -> dict[str, Figure]:
    """By file name."""
    drawn = _told_apart(by_detector[first.detector])
    bootstrap = benchmark.bootstrap
    counts = {name: int(mine.sum()) for name, mine in bootstrap.abnormal.items()}
    where = f"test patients, {kind}"
    figures = {
        "roc.png": roc_figure(
            {system: d.scores for system, d in drawn.items()},
            bootstrap.normal,
            {system: d.threshold for system, d in drawn.items()},
            title=f"{first.detector}, {where}",
        ),
        "detectors.png": detector_dots(
            {name: {system: d.intervals for system, d in of.items()} for name, of in by_detector.items()}, title=where
        ),
        "strips.png": strips_figure(
            windows,
            first.scores,
            first.threshold,
            title=f"The most anomalous samples of different patients: {first.system}, {first.detector}, {where}",
        ),
    }
    if counts:
        figures["classes.png"] = class_dots(
            {system: d.intervals for system, d in drawn.items()},
            counts,
            title=f"each abnormal class against all normal samples: {first.detector}, {where}",
        )
    return figures


def _told_apart(systems: Mapping[str, Detection]) -> dict[str, Detection]:
    """As many systems as a figure can tell apart: those alone before those with RR, but for the first's."""
    wanted = sorted(systems, key=lambda name: name.endswith("+ RR") and not name.startswith(next(iter(systems))))
    kept = set(wanted[:_CURVES])
    return {name: d for name, d in systems.items() if name in kept}


def _document(d: Detection) -> dict[str, Any]:
    """What results.json says of one detector on one system's features."""
    return {
        "system": d.system,
        "detector": d.detector,
        "threshold": d.threshold,
        "threshold_set_by_samples": int(d.judged.sum()),
        "scores": d.intervals,
        "versus": d.versus,
        "excluded": d.excluded,
    }

"""What `python -m ssl_ecg.anomaly` prints, and the rows, figures and facts it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ssl_ecg.anomaly.benchmark import AnomalyBenchmark, Detection
from ssl_ecg.anomaly.figures import class_dots, detector_dots, roc_figure, strips_figure
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.report.results import Row, differences, rows_of
from ssl_ecg.report.tables import Value, print_table

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


def show(detections: Sequence[Detection], benchmark: AnomalyBenchmark, *, title: str) -> None:
    """Print a table per detector, with `{}` of the title filled in, and the facts about them."""
    bootstrap, first = benchmark.bootstrap, detections[0]
    columns = dict(_COLUMNS)
    if len(bootstrap.abnormal) <= _FEW_CLASSES:
        columns |= {f"auroc_{name}": f"AUROC {name}" for name in bootstrap.abnormal}
        columns |= {f"sensitivity_95_{name}": f"{name} Se" for name in bootstrap.abnormal}
    for detector, systems in _by_detector(detections).items():
        shown: dict[str, dict[str, Value]] = {
            system: {
                heading: d.intervals[name] if name in _WITH_INTERVAL else d.intervals[name].value
                for name, heading in columns.items()
                if name in d.intervals
            }
            for system, d in systems.items()
        }
        print_table(shown, title=title.format(detector))
    print(
        f"Abnormal: {100 * first.intervals['prevalence'].value:.1f} % of {len(bootstrap.normal):,} test samples, the "
        "AUPRC of chance. Se at 95 % Sp: where 95 % of the test's own normal samples pass; set: at the threshold that "
        "95 % of held-out normal train samples pass, with the specificity on the test samples."
    )
    if bootstrap.too_few:
        print(f"Not scored by themselves, because too few test patients have them: {', '.join(bootstrap.too_few)}.")
    mine = [d for d in detections if d.detector == first.detector]
    for d in mine:
        for other, scores in d.versus.items():
            print(f"{d.system} - {other}, {d.detector}: AUROC {scores['auroc']}")
    for part in first.subsets:
        without = ", ".join(f"{d.system} {d.subsets[part]['auroc'].value:.3f}" for d in mine)
        print(f"AUROC {part}, {first.detector}: {without}")


def rows(detections: Sequence[Detection], **where: Any) -> list[Row]:  # noqa: ANN401
    """Every score and difference, with the other columns of each row; scores on parts of the test set, too."""
    made = []
    for d in detections:
        place = {**where, "system": d.system, "predictor": d.detector}
        made += rows_of(d.intervals, **place) + differences(d.versus, **place)
        made += [row for part, found in d.subsets.items() for row in rows_of(found, subset=part, **place)]
    return made


def about(detections: Sequence[Detection], benchmark: AnomalyBenchmark) -> dict[str, Any]:
    """What else is to be known: classes, sizes and thresholds."""
    bootstrap = benchmark.bootstrap
    return {
        "classes": list(benchmark.classes),
        "too_few": list(bootstrap.too_few),
        "normal_train_samples": len(benchmark.normal.y),
        "normal_train_patients": len(set(benchmark.normal.patients.tolist())),
        "test_samples": len(bootstrap.normal),
        "normal_test_samples": int(bootstrap.normal.sum()),
        "thresholds": {
            detector: {
                system: {"threshold": d.threshold, "set_by_samples": int(d.judged.sum())} for system, d in found.items()
            }
            for detector, found in _by_detector(detections).items()
        },
    }


def figures(
    detections: Sequence[Detection], benchmark: AnomalyBenchmark, windows: WindowSet, kind: str
) -> dict[str, Figure]:
    """Figures by file name; ROC curves and strips of the test windows show the first detector."""
    first, by_detector, bootstrap = (detections[0], _by_detector(detections), benchmark.bootstrap)
    drawn = _told_apart(by_detector[first.detector])
    where = f"test patients, {kind}"
    made = {
        "roc.png": roc_figure(drawn, bootstrap.normal, title=f"{first.detector}, {where}"),
        "detectors.png": detector_dots(by_detector, title=where),
        "strips.png": strips_figure(
            windows,
            first,
            title=f"The most anomalous samples of different patients: {first.system}, {first.detector}, {where}",
        ),
    }
    if bootstrap.abnormal:
        made["classes.png"] = class_dots(
            drawn,
            {name: int(mine.sum()) for name, mine in bootstrap.abnormal.items()},
            title=f"each abnormal class against all normal samples: {first.detector}, {where}",
        )
    return made


def _by_detector(detections: Sequence[Detection]) -> dict[str, dict[str, Detection]]:
    """Detections by detector and system."""
    found: dict[str, dict[str, Detection]] = {}
    for d in detections:
        found.setdefault(d.detector, {})[d.system] = d
    return found


def _told_apart(systems: Mapping[str, Detection]) -> dict[str, Detection]:
    """As many systems as a figure can tell apart: those alone before those with RR, but for the first's."""
    wanted = sorted(systems, key=lambda name: "+ RR" in name and not name.startswith(next(iter(systems))))
    kept = set(wanted[:_CURVES])
    return {name: d for name, d in systems.items() if name in kept}

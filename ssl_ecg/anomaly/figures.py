"""The figures of `python -m ssl_ecg.anomaly`. Each function takes results and returns a matplotlib `Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.anomaly.benchmark import Detection
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.estimators.sampling import taken_in_turn
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import colour, dot_rows, marker, new_figure, row_height, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CONTEXT = 2.0  # seconds shown before and after a window that is part of a recording
_STRIPS = 12

_SHOWN = {"auroc": "AUROC", "sensitivity_95": "sensitivity at 95 % specificity"}


def roc_figure(systems: Mapping[str, Detection], normal: NDArray[np.bool_], *, title: str = "") -> Figure:
    """Draw the ROC curve of each system, and on it the threshold that was set on train patients."""
    from sklearn.metrics import roc_curve

    figure = new_figure(7.8, 5.2)
    axes = figure.add_subplot()
    for number, (name, found) in enumerate(systems.items()):
        alarms, hits, _ = roc_curve(~normal, found.scores)
        flagged = found.scores > found.threshold
        axes.plot(100 * alarms, 100 * hits, color=colour(number), linewidth=1.5, zorder=2)
        at = flagged[normal].mean()
        look: dict[str, Any] = {"color": colour(number), "marker": marker(number)}
        axes.plot(100 * at, 100 * flagged[~normal].mean(), markersize=8, markeredgecolor="white", zorder=3, **look)
        axes.plot([], [], linewidth=1.5, label=name, **look)  # the curve and its marker as one entry
    axes.plot([0, 100], [0, 100], color="#999999", linewidth=1, linestyle=":", label="chance")
    axes.axvline(5, color="#555555", linewidth=1, linestyle="--", label="95 % specificity")
    axes.set_xlim(-1, 100)
    axes.set_ylim(0, 101)
    axes.set_xlabel("normal samples called abnormal (%) = 100 - specificity")
    axes.set_ylabel("abnormal samples found (%) = sensitivity")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    axes.set_title(f"{title}\nmarkers: at the threshold that was set on train patients".strip(), fontsize=10)
    tidy(axes)
    return figure


def detector_dots(found: Mapping[str, Mapping[str, Detection]], *, title: str = "") -> Figure:
    """Draw AUROC and sensitivity at 95 % specificity, by detector and system."""
    systems = list(dict.fromkeys(system for by_system in found.values() for system in by_system))
    series = {detector: [of[s].intervals if s in of else {} for s in systems] for detector, of in found.items()}
    return _two_panels(systems, series, title)


def class_dots(systems: Mapping[str, Detection], counts: Mapping[str, int], *, title: str = "") -> Figure:
    """Draw AUROC and sensitivity at 95 % specificity of each abnormal class, with its test samples, by system."""
    series = {
        system: [{name: found.intervals[f"{name}_{c}"] for name in _SHOWN} for c in counts]
        for system, found in systems.items()
    }
    figure = _two_panels([f"{name} ({n:,})" for name, n in counts.items()], series, title)
    figure.axes[0].set_ylabel("class (test samples)")
    return figure


def _two_panels(rows: Sequence[str], series: Mapping[str, Sequence[Mapping[str, Interval]]], title: str) -> Figure:
    """A panel per score of `_SHOWN`, in it a dot and interval per row and series."""
    figure = new_figure(10, 1.5 + row_height(len(series)) * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (score, heading) in zip(panels, _SHOWN.items(), strict=True):
        dot_rows(axes, rows, {name: [of.get(score) for of in found] for name, found in series.items()})
        axes.set_xlabel(heading)
    panels[0].axvline(0.5, color="#999999", linewidth=1, linestyle=":", zorder=1)
    handles, labels = panels[0].get_legend_handles_labels()
    columns = min(len(series), 4)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    figure.suptitle(f"{title}\nvalue and 95 % interval over patients".strip(), fontsize=10)
    return figure


def most_anomalous(scores: NDArray[np.floating[Any]], patients: NDArray[Any], n: int = _STRIPS) -> NDArray[np.int64]:
    """Numbers of the n highest scores (m,), from as many patients (m,) as there are, the highest first."""
    order = np.argsort(-scores, kind="stable")
    chosen = order[taken_in_turn(patients[order], n)]
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def strips_figure(windows: WindowSet, found: Detection, *, title: str = "") -> Figure:
    """Draw the windows with the highest scores as a cardiologist sees them, with two seconds around them."""
    scores = found.scores
    chosen = most_anomalous(scores, windows.patient)
    rank = np.empty(len(scores), dtype=np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    figure = new_figure(12, 0.9 + 1.55 * -(-len(chosen) // 2))
    panels = figure.subplots(-(-len(chosen) // 2), 2, squeeze=False).T.flatten()
    names, records, targets = (np.array(windows.store.classes), windows.record, windows.targets)
    for axes, row in zip(panels, chosen, strict=False):
        record, start = int(windows.index.record[row]), int(windows.index.start[row])
        middle = (start + windows.preprocessing.samples // 2) / windows.store.fs
        _draw_strip(axes, windows, record, start)
        flag = "" if scores[row] > found.threshold else ", below the threshold"
        what = ", ".join(names[targets[row]])
        at = f", {int(middle // 60)}:{middle % 60:04.1f} min" if _is_part(windows, record) else ""
        said = f"{what}   record {records[row]}{at}, score {scores[row]:.3g} (no. {rank[row]:,}){flag}"
        axes.set_title(said, fontsize=8, loc="left")
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _is_part(windows: WindowSet, record: int) -> bool:
    """Whether a window shows only a part of its recording."""
    return int(windows.store.length[record]) > 1.5 * windows.preprocessing.samples


def _draw_strip(axes: Axes, windows: WindowSet, record: int, start: int) -> None:
    """Draw lead II of a window, or the first, with two seconds around; beats by their class."""
    store, samples = windows.store, windows.preprocessing.samples
    lead = store.leads.index("II") if "II" in store.leads else 0
    around = round(_CONTEXT * store.fs) if _is_part(windows, record) else 0
    first, last = (max(0, start - around), min(int(store.length[record]), start + samples + around))
    origin = start + samples // 2 if store.task == "beat" else start
    seconds = (np.arange(first, last) - origin) / store.fs
    axes.plot(seconds, store.signal(record)[lead, first:last], color="black", linewidth=0.8)
    if around:
        axes.axvspan((start - origin) / store.fs, (start + samples - origin) / store.fs, color="#56B4E9", alpha=0.18)
    if store.task == "beat":
        beats = store.beats[store.beats["record"] == record]
        at = beats["r_peak"].to_numpy() / store.records["source_fs"].to_numpy()[record] - origin / store.fs
        for second, label in zip(at, beats["label"].astype(str), strict=True):
            if seconds[0] <= second <= seconds[-1]:
                mine = abs(second) < 1.5 / store.fs
                look: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7, "color": "#777777"}
                look |= {"fontsize": 9, "fontweight": "bold", "color": colour(1)} if mine else {}
                axes.annotate(label or "-", (second, 1.0), xycoords=("data", "axes fraction"), **look)
        axes.margins(y=0.2)
    axes.set_ylabel(f"{store.leads[lead]} ({store.unit})", fontsize=8)
    axes.set_xlabel("s from the beat" if store.task == "beat" else "s", fontsize=8, labelpad=0)
    axes.margins(x=0)
    axes.tick_params(labelsize=7)
    tidy(axes)

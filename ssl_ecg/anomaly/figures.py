"""The figures of `python -m ssl_ecg.anomaly`. Each function takes results and returns a matplotlib `Figure`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.score_figures import dot_rows, row_height
from ssl_ecg.report.style import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CONTEXT = 2.0  # seconds shown before and after a window that is part of a recording
_STRIPS = 12

Scores = Mapping[str, Interval]


def roc_figure(
    scores: Mapping[str, NDArray[np.floating[Any]]],
    normal: NDArray[np.bool_],
    thresholds: Mapping[str, float],
    *,
    title: str = "",
) -> Figure:
    """ROC curve of each system, and where the threshold that was set on train patients lies on it.

    Args:
        scores: of the test samples, shape (n,), by system.
        normal: which of them are normal, shape (n,).
        thresholds: above which each system calls a sample abnormal.
        title: above the curves.
    """
    from sklearn.metrics import roc_curve

    figure = new_figure(7.8, 5.2)
    axes = figure.add_subplot()
    for number, (name, found) in enumerate(scores.items()):
        alarms, hits, _ = roc_curve(~normal, found)
        flagged = found > thresholds[name]
        axes.plot(100 * alarms, 100 * hits, color=colour(number), linewidth=1.5, zorder=2)
        axes.plot(
            100 * flagged[normal].mean(),
            100 * flagged[~normal].mean(),
            color=colour(number),
            marker=marker(number),
            markersize=8,
            markeredgecolor="white",
            zorder=3,
        )
        # The curve and its marker as one entry
        axes.plot([], [], color=colour(number), marker=marker(number), linewidth=1.5, label=name)
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


def detector_dots(found: Mapping[str, Mapping[str, Scores]], *, title: str = "") -> Figure:
    """Every system with every detector: AUROC and sensitivity at 95 % specificity.

    Args:
        found: scores by name, for each detector and system.
        title: above the panels.
    """
    systems = list(dict.fromkeys(system for by_system in found.values() for system in by_system))
    figure = new_figure(10, 1.4 + row_height(len(found)) * len(systems))
    panels = figure.subplots(1, 2, sharey=True)
    shown = {"auroc": "AUROC", "sensitivity_95": "sensitivity at 95 % specificity"}
    for axes, (score, heading) in zip(panels, shown.items(), strict=True):
        series = {
            detector: [by_system[system][score] if system in by_system else None for system in systems]
            for detector, by_system in found.items()
        }
        dot_rows(axes, systems, series)
        axes.set_xlabel(heading)
    panels[0].axvline(0.5, color="#999999", linewidth=1, linestyle=":", zorder=1)
    _finish(figure, panels[0], len(found), title)
    return figure


def class_dots(systems: Mapping[str, Scores], counts: Mapping[str, int], *, title: str = "") -> Figure:
    """How each abnormal class is told from normal: AUROC and sensitivity at 95 % specificity.

    Args:
        systems: scores by name for each system.
        counts: test samples of each class, by its name.
        title: above the panels.
    """
    figure = new_figure(10, 1.6 + row_height(len(systems)) * len(counts))
    panels = figure.subplots(1, 2, sharey=True)
    rows = [f"{name} ({n:,})" for name, n in counts.items()]
    shown = {"auroc": "AUROC", "sensitivity_95": "sensitivity at 95 % specificity"}
    for axes, (score, heading) in zip(panels, shown.items(), strict=True):
        dot_rows(axes, rows, {s: [of[f"{score}_{name}"] for name in counts] for s, of in systems.items()})
        axes.set_xlabel(heading)
    panels[0].axvline(0.5, color="#999999", linewidth=1, linestyle=":", zorder=1)
    panels[0].set_ylabel("class (test samples)")
    _finish(figure, panels[0], len(systems), title)
    return figure


def _finish(figure: Figure, axes: Axes, series: int, title: str) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = min(series, 4)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    figure.suptitle(f"{title}\nvalue and 95 % interval over patients".strip(), fontsize=10)


def most_anomalous(scores: NDArray[np.floating[Any]], patients: NDArray[Any], n: int = _STRIPS) -> NDArray[np.int64]:
    """Numbers of the highest-scoring samples, from as many patients as there are, in the order of their scores.

    Args:
        scores: shape (m,).
        patients: whose each sample is, shape (m,).
        n: how many.
    """
    order = np.argsort(-scores, kind="stable")
    _, patient = np.unique(patients, return_inverse=True)
    # How many of the patient's samples score higher: everybody's highest come first.
    by_patient = order[np.argsort(patient[order], kind="stable")]
    starts = np.r_[0, np.cumsum(np.bincount(patient))[:-1]]
    before = np.empty(len(scores), dtype=np.int64)
    before[by_patient] = np.arange(len(scores)) - starts[patient[by_patient]]
    chosen = order[np.argsort(before[order], kind="stable")][:n]
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def strips_figure(
    windows: WindowSet,
    scores: NDArray[np.floating[Any]],
    threshold: float,
    *,
    title: str = "",
) -> Figure:
    """The most anomalous samples as a cardiologist sees them, with what is around them.

    Args:
        windows: all scored samples.
        scores: shape (n,).
        threshold: above which a sample is called abnormal.
        title: above the strips.
    """
    chosen = most_anomalous(scores, windows.patient)
    rank = np.empty(len(scores), dtype=np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    figure = new_figure(12, 0.9 + 1.55 * -(-len(chosen) // 2))
    panels = figure.subplots(-(-len(chosen) // 2), 2, squeeze=False).T.flatten()
    names, records = np.array(windows.store.classes), windows.record
    targets = windows.targets
    for axes, row in zip(panels, chosen, strict=False):
        record, start = int(windows.index.record[row]), int(windows.index.start[row])
        middle = (start + windows.preprocessing.samples // 2) / windows.store.fs
        _draw_strip(axes, windows, record, start)
        flag = "" if scores[row] > threshold else ", below the threshold"
        what = ", ".join(names[targets[row]])
        at = f", {int(middle // 60)}:{middle % 60:04.1f} min" if _is_part(windows, record) else ""
        axes.set_title(
            f"{what}   record {records[row]}{at}, score {scores[row]:.3g} (no. {rank[row]:,}){flag}",
            fontsize=8,
            loc="left",
        )
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _is_part(windows: WindowSet, record: int) -> bool:
    """Whether a window shows only a part of its recording."""
    return int(windows.store.length[record]) > 1.5 * windows.preprocessing.samples


def _draw_strip(axes: Axes, windows: WindowSet, record: int, start: int) -> None:
    """One lead of a window, lead II or the first, and a little of what is around; beats by their class."""
    store, samples = windows.store, windows.preprocessing.samples
    lead = store.leads.index("II") if "II" in store.leads else 0
    around = round(_CONTEXT * store.fs) if _is_part(windows, record) else 0
    first, last = max(0, start - around), min(int(store.length[record]), start + samples + around)
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
                axes.annotate(
                    label or "-",
                    (second, 1.0),
                    xycoords=("data", "axes fraction"),
                    ha="center",
                    va="top",
                    fontsize=9 if mine else 7,
                    fontweight="bold" if mine else "normal",
                    color=colour(1) if mine else "#777777",
                )
        axes.margins(y=0.2)
    axes.set_ylabel(f"{store.leads[lead]} ({store.unit})", fontsize=8)
    axes.set_xlabel("s from the beat" if store.task == "beat" else "s", fontsize=8, labelpad=0)
    axes.margins(x=0)
    axes.tick_params(labelsize=7)
    tidy(axes)

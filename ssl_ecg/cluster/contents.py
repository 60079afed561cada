"""What is in each cluster, so that a cardiologist can look at it: its beats or strips, its classes and its people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.cluster.space import Space
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.report.style import colour, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 24  # clusters in a figure, the largest
_SAMPLED = 500  # beats of a cluster that its median is taken of


def composition(
    clusters: NDArray[np.int64], y: NDArray[np.integer[Any]], classes: Sequence[str], patients: NDArray[Any]
) -> list[dict[str, Any]]:
    """What each cluster holds, the noise last: its size, the share of each class, and how many people it is.

    Args:
        clusters: of each sample, numbered from 0, -1 for noise, shape (n,).
        y: class of each sample, shape (n,).
        classes: the K class names.
        patients: whose each sample is, shape (n,).
    """
    found = []
    for number in [*range(int(clusters.max(initial=-1)) + 1), *([-1] if (clusters < 0).any() else [])]:
        mine = clusters == number
        shares = np.bincount(y[mine], minlength=len(classes)) / mine.sum()
        names, counts = np.unique(patients[mine], return_counts=True)
        found.append(
            {
                "cluster": number,
                "size": int(mine.sum()),
                "classes": {classes[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable") if shares[i] > 0},
                "patients": len(names),
                "commonest_patient": str(names[counts.argmax()]),
                "patient_purity": float(counts.max() / mine.sum()),
            }
        )
    return found


def draw_beats(
    clustering: Clustering,
    windows: WindowSet,
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    title: str = "",
) -> Figure:
    """The median beat of every cluster, with the middle half and the middle four fifths of its beats, R at 0 s.

    Args:
        clustering: the clusters.
        windows: around the beats.
        y: class of each beat, shape (n,).
        classes: the K class names.
        patients: whose each beat is, shape (n,).
        title: above all.
    """
    rng = np.random.default_rng(0)
    lead, fs = _lead(windows), windows.preprocessing.fs
    t = (np.arange(windows.preprocessing.samples) - windows.preprocessing.samples // 2) / fs

    def draw(axes: Axes, rows: NDArray[np.int64], look: str) -> None:
        beats = _signals(windows, rng.permutation(rows)[:_SAMPLED])[:, lead]
        low, first, median, third, high = np.quantile(beats, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0)
        axes.fill_between(t, low, high, color=look, alpha=0.18, linewidth=0)
        axes.fill_between(t, first, third, color=look, alpha=0.35, linewidth=0)
        axes.plot(t, median, color="black", linewidth=1.1)

    note = f"black: median; shaded: middle 50 % and 80 % of {_SAMPLED} beats at most"
    return _panels(clustering, draw, windows, y, classes, patients, f"{title}\n{note}", "s from the R peak", 2.5)


def draw_strips(
    space: Space,
    clustering: Clustering,
    windows: WindowSet,
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    title: str = "",
) -> Figure:
    """Three recordings of every cluster: nearest its centre, as far from it as the median, and as nine of ten.

    Recordings are not aligned, so their spread is shown by examples, not by quantiles of their samples.

    Args:
        space: what was clustered.
        clustering: the clusters.
        windows: the recordings.
        y: class of each, shape (n,).
        classes: the K class names.
        patients: whose each is, shape (n,).
        title: above all.
    """
    lead, fs = _lead(windows), windows.preprocessing.fs

    def draw(axes: Axes, rows: NDArray[np.int64], look: str) -> None:
        order = rows[np.argsort(np.linalg.norm(space.x[rows] - space.x[rows].mean(axis=0), axis=1))]
        chosen = order[[0, len(order) // 2, int(0.9 * (len(order) - 1))]]
        strips = _signals(windows, chosen)[:, lead]
        apart = 1.1 * max(float(np.ptp(np.quantile(strips, [0.002, 0.998], axis=1), axis=0).max()), 1e-3)
        for place, strip in enumerate(strips):
            axes.plot(
                np.arange(len(strip)) / fs, strip - place * apart, color=look if place else "black", linewidth=0.8
            )

    note = "black: nearest the centre; coloured: as far from it as the median recording, and as nine of ten"
    return _panels(clustering, draw, windows, y, classes, patients, f"{title}\n{note}", "s", 4.0)


def _panels(
    clustering: Clustering,
    draw: Callable[[Axes, NDArray[np.int64], str], None],
    windows: WindowSet,
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    title: str,
    time: str,
    width: float,
) -> Figure:
    """A panel per cluster, the largest first, in the colour of its commonest class."""
    aligned = windows.store.task == "beat"
    everything = composition(clustering.labels, y, classes, patients)
    held = [group for group in everything if group["cluster"] >= 0]
    shown = (held or everything)[:_SHOWN]  # where all is noise, that
    columns = min(len(shown), round(15 / width))
    lines = math.ceil(len(shown) / columns)
    figure = new_figure(max(width * columns, 7), 0.9 + 2.1 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=aligned, squeeze=False)
    what = "beats" if aligned else "windows"
    lead = windows.preprocessing.leads[_lead(windows)]
    for number, (axes, group) in enumerate(zip(panels.flat, shown, strict=False)):
        main = next(iter(group["classes"]))
        draw(axes, np.flatnonzero(clustering.labels == group["cluster"]), colour(list(classes).index(main)))
        parts = [f"{name} {100 * share:.0f} %" for name, share in group["classes"].items() if share >= 0.005][:3]
        one = f"one of them {100 * group['patient_purity']:.0f} %"
        who = f"{group['patients']} patients, {one}" if group["patients"] > 1 else "one patient"
        name = f"{group['cluster'] + 1}: " if group["cluster"] >= 0 else "noise: "
        axes.set_title(f"{name}{group['size']:,} {what}, {', '.join(parts)}\n{who}", fontsize=8)
        axes.margins(x=0)
        axes.tick_params(labelsize=8)
        tidy(axes)
        if number % columns == 0:
            axes.set_ylabel(f"{lead} ({windows.store.unit})" + ("" if aligned else "\nstrips set apart"), fontsize=9)
        if number + columns >= len(shown):
            axes.set_xlabel(time, fontsize=9)
            axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    more = f"\nthe {len(shown)} largest of {len(held)} clusters" if len(held) > len(shown) else ""
    figure.suptitle(f"{title}{more}", fontsize=11)
    return figure


def _lead(windows: WindowSet) -> int:
    """Lead II, or the first."""
    leads = windows.preprocessing.leads
    return leads.index("II") if "II" in leads else 0


def _signals(windows: WindowSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Windows in the store's unit, shape (B, C, T)."""
    chosen = windows[torch.from_numpy(rows)]
    return torch.cat(list(chosen.conditioned())).numpy()

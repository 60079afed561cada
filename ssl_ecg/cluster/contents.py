"""The contents of each cluster, to be looked at by a cardiologist: beats or strips, classes and patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.cluster.figures import grid
from ssl_ecg.cluster.space import Space
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.report.figures import colour, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 24  # clusters in a figure, the largest
_SAMPLED = 500  # beats of a cluster that its median is taken of


def composition(
    clusters: NDArray[np.int64], y: NDArray[np.integer[Any]], classes: Sequence[str], patients: NDArray[Any]
) -> list[dict[str, Any]]:
    """Count samples, classes and patients of each cluster (n,), the noise (-1) last; y (n,) indexes classes."""
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
    clustering: Clustering, windows: WindowSet, y: NDArray[np.integer[Any]], classes: Sequence[str], *, title: str = ""
) -> Figure:
    """Draw the median beat of every cluster with the middle 50 % and 80 % of its beats; y (n,) indexes classes."""
    rng = np.random.default_rng(0)
    samples, fs = windows.preprocessing.samples, windows.preprocessing.fs
    t = (np.arange(samples) - samples // 2) / fs

    def draw(axes: Axes, rows: NDArray[np.int64], look: str) -> None:
        beats = _signals(windows, rng.permutation(rows)[:_SAMPLED])
        low, first, median, third, high = np.quantile(beats, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0)
        axes.fill_between(t, low, high, color=look, alpha=0.18, linewidth=0)
        axes.fill_between(t, first, third, color=look, alpha=0.35, linewidth=0)
        axes.plot(t, median, color="black", linewidth=1.1)

    note = f"black: median; shaded: middle 50 % and 80 % of {_SAMPLED} beats at most"
    return _panels(clustering, draw, windows, y, classes, f"{title}\n{note}", "s from the R peak", 2.5)


def draw_strips(
    space: Space,
    clustering: Clustering,
    windows: WindowSet,
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw three recordings of every cluster: nearest its centre, as far as the median one, and as nine of ten.

    Recordings are not aligned, so their spread is shown by examples, not by quantiles of their samples.
    """

    def draw(axes: Axes, rows: NDArray[np.int64], look: str) -> None:
        order = rows[np.argsort(np.linalg.norm(space.x[rows] - space.x[rows].mean(axis=0), axis=1))]
        strips = _signals(windows, order[[0, len(order) // 2, int(0.9 * (len(order) - 1))]])
        apart = 1.1 * max(float(np.ptp(np.quantile(strips, [0.002, 0.998], axis=1), axis=0).max()), 1e-3)
        t = np.arange(strips.shape[1]) / windows.preprocessing.fs
        for place, strip in enumerate(strips):
            axes.plot(t, strip - place * apart, color=look if place else "black", linewidth=0.8)

    note = "black: nearest the centre; coloured: as far from it as the median recording, and as nine of ten"
    return _panels(clustering, draw, windows, y, classes, f"{title}\n{note}", "s", 4.0)


def _panels(
    clustering: Clustering,
    draw: Callable[[Axes, NDArray[np.int64], str], None],
    windows: WindowSet,
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    title: str,
    time: str,
    width: float,
) -> Figure:
    """A panel per cluster, the largest first, in the colour of its commonest class."""
    aligned = windows.store.task == "beat"
    everything = composition(clustering.labels, y, classes, windows.patient)
    held = [group for group in everything if group["cluster"] >= 0]
    shown = (held or everything)[:_SHOWN]  # where all is noise, that
    most = round(15 / width)
    figure, panels = grid(len(shown), most, width, 2.1, (0, 0.9), sharex=True, sharey=aligned)
    lead = windows.preprocessing.leads[_lead(windows)]
    for number, (axes, group) in enumerate(zip(panels, shown, strict=True)):
        main = next(iter(group["classes"]))
        draw(axes, np.flatnonzero(clustering.labels == group["cluster"]), colour(list(classes).index(main)))
        axes.set_title(_heading(group, "beats" if aligned else "windows"), fontsize=8)
        axes.margins(x=0)
        axes.tick_params(labelsize=8)
        tidy(axes)
        if number % most == 0:
            axes.set_ylabel(f"{lead} ({windows.store.unit})" + ("" if aligned else "\nstrips set apart"), fontsize=9)
        if number + most >= len(shown):
            axes.set_xlabel(time, fontsize=9)
            axes.tick_params(labelbottom=True)
    more = f"\nthe {len(shown)} largest of {len(held)} clusters" if len(held) > len(shown) else ""
    figure.suptitle(f"{title}{more}", fontsize=11)
    return figure


def _heading(group: dict[str, Any], what: str) -> str:
    parts = [f"{name} {100 * share:.0f} %" for name, share in group["classes"].items() if share >= 0.005][:3]
    one = f"one of them {100 * group['patient_purity']:.0f} %"
    who = f"{group['patients']} patients, {one}" if group["patients"] > 1 else "one patient"
    name = f"{group['cluster'] + 1}" if group["cluster"] >= 0 else "noise"
    return f"{name}: {group['size']:,} {what}, {', '.join(parts)}\n{who}"


def _lead(windows: WindowSet) -> int:
    """Lead II, or the first."""
    leads = windows.preprocessing.leads
    return leads.index("II") if "II" in leads else 0


def _signals(windows: WindowSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The drawn lead of windows in the store's unit, shape (B, T)."""
    return torch.cat(list(windows[torch.from_numpy(rows)].conditioned())).numpy()[:, _lead(windows)]

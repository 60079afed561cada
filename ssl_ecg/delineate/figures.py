"""Figures of delineation: F1 by people and by stage, and the leads that went worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.evaluate import Outcome
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import colour, marker, new_figure, tidy
from ssl_ecg.waves.matching import EXTRA, HITS, MISSED, Found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"P": "#2a78b5", "QRS": "#c0392b", "T": "#2e8b57"}


def by_people(scores: Mapping[tuple[str, int], Interval], where: str) -> Figure:
    """Draw mean F1 with its interval against the number of people a head was fitted on; a line for who fits nothing."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    systems = list(dict.fromkeys(system for system, _ in scores))
    for number, system in enumerate(systems):
        mine = sorted((people, score) for (name, people), score in scores.items() if name == system)
        x, y = [people for people, _ in mine], [score.value for _, score in mine]
        look: dict[str, Any] = {"color": colour(number), "label": system}
        if x == [0]:
            axes.axhline(y[0], linestyle="--", linewidth=1.2, **look)
            continue
        low, high = ([getattr(score, end) for _, score in mine] for end in ("low", "high"))
        axes.fill_between(x, low, high, alpha=0.15, color=colour(number), linewidth=0)
        axes.plot(x, y, marker=marker(number), markersize=5, **look)
    people = sorted({people for _, people in scores if people})
    axes.set_xscale("log")
    axes.set_xticks(people, [str(number) for number in people])
    axes.minorticks_off()
    axes.set_xlabel("labelled people")
    axes.set_ylabel(f"mean F1 of six boundaries{', ' + where if where else ''}")
    axes.legend(frameon=False)
    axes.grid(color="#dddddd", linewidth=0.8)
    tidy(axes)
    return figure


def by_stage(scores: Mapping[str, Mapping[str, float]], where: str) -> Figure:
    """Draw the F1 of each wave by the stage it is read from, a line for each encoder.

    Systems are called such as "pretrained, map 1".
    """
    figure = new_figure(9.0, 3.4)
    encoders = list(dict.fromkeys(system.rpartition(", ")[0] for system in scores))
    panels = figure.subplots(1, 3, sharey=True)
    for axes, wave in zip(panels, ("P", "QRS", "T"), strict=True):
        for number, encoder in enumerate(encoders):
            mine = {name.rpartition(", ")[2]: each[wave] for name, each in scores.items() if name.startswith(encoder)}
            axes.plot(list(mine), list(mine.values()), marker=marker(number), color=colour(number), label=encoder)
        axes.set_title(f"{wave}{', ' + where if where else ''}", fontsize=10)
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.tick_params(axis="x", labelsize=8)
        tidy(axes)
    panels[0].set_ylabel("F1 of onset and offset")
    panels[0].legend(frameon=False)
    return figure


def by_noise(scores: Mapping[tuple[str, str], Interval]) -> Figure:
    """Draw mean F1 against the signal-to-noise ratio, a panel for each noise; noises are called such as "ma, 6 dB"."""
    kinds = list(dict.fromkeys(noise.partition(", ")[0] for _, noise in scores))
    figure = new_figure(4.2 * len(kinds), 3.4)
    for axes, kind in zip(figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True):
        for number, system in enumerate(dict.fromkeys(system for system, _ in scores)):
            mine = {
                int(noise.partition(", ")[2].split()[0]): score
                for (name, noise), score in scores.items()
                if name == system and noise.startswith(f"{kind}, ")
            }
            x = sorted(mine)
            look: dict[str, Any] = {"color": colour(number)}
            axes.fill_between(x, [mine[at].low for at in x], [mine[at].high for at in x], alpha=0.15, **look)
            axes.plot(x, [mine[at].value for at in x], marker=marker(number), markersize=5, label=system, **look)
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel("signal-to-noise ratio, dB")
        axes.grid(color="#dddddd", linewidth=0.8)
        tidy(axes)
    axes.legend(frameon=False)
    figure.axes[0].set_ylabel("mean F1 of six boundaries")
    return figure


def worst_page(leads: Sequence[Lead], outcome: Outcome, rows: int = 8) -> Figure:
    """Draw the leads with the lowest F1: what was marked above each, what was found below."""
    counts = outcome.counts[:, 0].sum(axis=1)
    hits, wrong = counts[:, HITS], counts[:, EXTRA] + counts[:, MISSED]
    f1 = 2 * hits / np.maximum(2 * hits + wrong, 1)
    seen: dict[str, int] = {}
    for place in np.argsort(f1, kind="stable").tolist():
        seen.setdefault(leads[place].patient, place)  # one lead of a person
    chosen = list(seen.values())[:rows]
    figure = new_figure(11.0, 1.35 * len(chosen) + 0.6)
    for axes, place in zip(figure.subplots(len(chosen), 1, squeeze=False)[:, 0], chosen, strict=True):
        lead, found = leads[place], outcome.found[place]
        t = np.arange(len(lead.signal)) / lead.fs
        shown = t <= 10
        axes.plot(t[shown], lead.signal[shown], color="black", linewidth=0.7)
        marks = lead.marked
        whole = (marks.onset >= 0) & (marks.offset >= 0)
        truth = zip(marks.labels[whole], marks.onset[whole] / lead.fs, marks.offset[whole] / lead.fs, strict=True)
        for label, start, end in truth:
            axes.axvspan(start, end, ymin=0.5, color=COLOURS[str(label)], alpha=0.3, linewidth=0)
        if found is not None:
            shade(axes, found, ymax=0.5)
        what = ", ".join(lead.labels)[:70]
        axes.set_title(f"record {lead.record}, lead {lead.name}: F1 {f1[place]:.2f}  {what}", fontsize=8, loc="left")
        axes.set_yticks([])
        axes.tick_params(labelsize=7)
        axes.margins(x=0)
        tidy(axes, ("top", "right", "left"))
    figure.suptitle("the worst cases: marked above, found below (P blue, QRS red, T green)", fontsize=9)
    return figure


def shade(axes: Axes, found: Found, ymax: float = 1.0) -> None:
    """Shade the waves that were found, the less certain the paler."""
    for label, start, end, sure in zip(found.labels, found.onset, found.offset, found.confidence, strict=True):
        if np.isfinite(start) and np.isfinite(end):
            alpha = 0.35 if np.isnan(sure) else 0.1 + 0.3 * float(sure)
            axes.axvspan(start, end, ymax=ymax, color=COLOURS[str(label)], alpha=alpha, linewidth=0)

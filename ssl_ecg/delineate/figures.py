"""Figures of delineation: F1 by people and by stage, and the leads that went worst."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.evaluate import Outcome
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import colour, marker, new_figure, tidy
from ssl_ecg.report.paper import draw_lead
from ssl_ecg.waves.matching import EXTRA, HITS, MISSED, Found, unmatched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"P": "#2a78b5", "QRS": "#c0392b", "T": "#2e8b57"}
_SHOWN = 10.0  # s


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


def by_stage(scores: Mapping[str, Mapping[str, Interval]], strides: Sequence[float], where: str) -> Figure:
    """Draw the F1 of P, QRS and T by the stage that is read, a line for each encoder; dashed: all stages together.

    Systems are called such as "pretrained", and "pretrained, map 1" where one stage is read; `strides` are from a token
    of each stage to the next, ms.
    """
    figure = new_figure(9.0, 3.4)
    encoders = list(dict.fromkeys(system.rpartition(", map ")[0] for system in scores if ", map " in system))
    stages = [f"{number}\n{stride:.0f} ms" for number, stride in enumerate(strides, 1)]
    panels = figure.subplots(1, 3, sharey=True)
    for axes, wave in zip(panels, ("P", "QRS", "T"), strict=True):
        for number, encoder in enumerate(encoders):
            mine = [scores[f"{encoder}, map {place}"][wave] for place in range(1, len(stages) + 1)]
            look: dict[str, Any] = {"color": colour(number)}
            low, high = ([getattr(score, end) for score in mine] for end in ("low", "high"))
            axes.fill_between(stages, low, high, alpha=0.15, linewidth=0, **look)
            axes.plot(stages, [score.value for score in mine], marker=marker(number), label=encoder, **look)
            line = axes.axhline(scores[encoder][wave].value, linestyle="--", linewidth=1.2, **look)
        axes.set_title(f"{wave}{', ' + where if where else ''}", fontsize=10)
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.tick_params(axis="x", labelsize=8)
        tidy(axes)
    line.set_label("all stages together")
    panels[0].set_ylabel("F1, mean of onset and offset")
    panels[1].set_xlabel("the stage that is read; ms from token to token")
    panels[-1].legend(frameon=False, fontsize=8)
    return figure


def by_noise(scores: Mapping[tuple[str, str], Interval], clean: Mapping[str, Interval]) -> Figure:
    """Draw mean F1 against the signal-to-noise ratio, a panel for each noise; noises are called such as "ma, 6 dB".

    `clean` is the F1 without noise, by system.
    """
    kinds = list(dict.fromkeys(noise.partition(", ")[0] for _, noise in scores))
    ratios = sorted({int(noise.partition(", ")[2].split()[0]) for _, noise in scores}, reverse=True)
    x = ["clean", *map(str, ratios)]
    figure = new_figure(4.2 * len(kinds), 3.4)
    for axes, kind in zip(figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True):
        for number, (system, without) in enumerate(clean.items()):
            mine = [without, *(scores[system, f"{kind}, {ratio} dB"] for ratio in ratios)]
            look: dict[str, Any] = {"color": colour(number)}
            low, high = ([getattr(score, end) for score in mine] for end in ("low", "high"))
            axes.fill_between(x, low, high, alpha=0.15, linewidth=0, **look)
            axes.plot(x, [score.value for score in mine], marker=marker(number), markersize=5, label=system, **look)
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel("signal-to-noise ratio, dB")
        axes.grid(color="#dddddd", linewidth=0.8)
        tidy(axes)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("mean F1 of six boundaries")
    return figure


def worst_page(leads: Sequence[Lead], outcome: Outcome, rows: int = 10) -> Figure:
    """Draw the leads with the lowest F1, one of a person: above each what was marked, below it what was found.

    Outlined is what was missed, or found where it is not marked; grey is what nobody marked.
    """
    counts = outcome.counts[:, 0].sum(axis=1)
    hits, wrong = counts[:, HITS], counts[:, EXTRA] + counts[:, MISSED]
    f1 = 2 * hits / np.maximum(2 * hits + wrong, 1)
    seen: dict[str, int] = {}
    for place in np.argsort(f1, kind="stable").tolist():
        if outcome.found[place] is not None:
            seen.setdefault(leads[place].patient, place)
    chosen = list(seen.values())[:rows]
    figure = new_figure(11.0, 1.6 * len(chosen) + 0.6)
    for axes, place in zip(figure.subplots(len(chosen), 1, squeeze=False)[:, 0], chosen, strict=True):
        lead, found = leads[place], outcome.found[place]
        assert found is not None
        said = _case(axes, lead, found)
        what = textwrap.shorten(", ".join(lead.labels), 90, placeholder=" …")
        title = f"record {lead.record}, lead {lead.name}: F1 {f1[place]:.2f}, {said}.  {what}"
        axes.set_title(title, fontsize=8, loc="left", pad=14)
    figure.suptitle(
        "the worst leads: above each what was marked, below it what was found (P blue, QRS red, T green); "
        "outlined: missed, or too many; a large square is 200 ms and 0.5 mV",
        fontsize=9,
    )
    return figure


def _case(axes: Axes, lead: Lead, found: Found) -> str:
    """Draw ten seconds on ECG paper with what was marked and found, and say in words what is wrong."""
    n, marked = round(min(_SHOWN * lead.fs, len(lead.signal))), lead.marked
    seconds, stretches = n / lead.fs, marked.stretches / lead.fs
    draw_lead(axes, np.arange(n) / lead.fs, lead.signal[:n], lead.name)
    for start, stop in zip([0.0, *stretches[:, 1]], [*stretches[:, 0], seconds], strict=True):
        if start < min(stop, seconds):
            axes.axvspan(start, min(stop, seconds), color="#888888", alpha=0.15, linewidth=0)
    missed, extra = unmatched(marked, lead.fs, found)
    theirs = marked.labels, marked.onset / lead.fs, marked.offset / lead.fs, missed
    mine = found.labels, found.onset, found.offset, extra
    for low, waves in ((1.02, theirs), (-0.14, mine)):
        for label, start, stop, wrong in zip(*waves, strict=True):
            if 0 <= start < stop <= seconds:
                look: dict[str, Any] = {"edgecolor": "black" if wrong else "none", "linewidth": 1.1, "clip_on": False}
                axes.axvspan(start, stop, low, low + 0.12, facecolor=COLOURS[str(label)], alpha=0.55, **look)
    words = [
        ", ".join(f"{count} {label}" for label, count in Counter(labels[wrong].tolist()).items()) or "none"
        for labels, wrong in ((marked.labels, missed), (found.labels, extra))
    ]
    return f"missed {words[0]}; too many {words[1]}"


def shade(axes: Axes, found: Found, ymax: float = 1.0) -> None:
    """Shade the waves that were found, the less certain the paler."""
    for label, start, end, sure in zip(found.labels, found.onset, found.offset, found.confidence, strict=True):
        if np.isfinite(start) and np.isfinite(end):
            alpha = 0.35 if np.isnan(sure) else 0.1 + 0.3 * float(sure)
            axes.axvspan(start, end, ymax=ymax, color=COLOURS[str(label)], alpha=alpha, linewidth=0)

"""The page of a day: one HTML file with its timeline, episodes and clusters, in words and tables too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.tape import Tape
from ssl_ecg.monitor.beats import Day
from ssl_ecg.monitor.clusters import Cluster
from ssl_ecg.monitor.episodes import KINDS, Episode
from ssl_ecg.monitor.figures import class_colour, clock, median_beats, strip, timeline
from ssl_ecg.monitor.intervals import over_the_day
from ssl_ecg.monitor.quality import NAMES
from ssl_ecg.report.page import Page, Part, Section, Table, Text, picture
from ssl_ecg.waves.intervals import NAMES as NAMES_OF_INTERVALS

_STRIPS = 6  # of a kind
_ROWS = 200  # of a table of episodes
_CLUSTERS = 12
_DPI = 90


def day_page(
    day: Day,
    tape: Tape,
    episodes: Sequence[Episode],
    number: NDArray[np.int16],
    clusters: Sequence[Cluster],
    odd: Sequence[str],
    intervals: Sequence[dict[str, Any]] = (),
) -> Page:
    """Make the page of a day.

    `number` is each beat's cluster (n,), `odd` what is to be known first, `intervals` those of each stretch.
    """
    known = day.rr[np.isfinite(day.rr)]
    rate = f"median heart rate {60 / np.median(known):.0f} a minute" if len(known) else "no heart rate"
    counts = ", ".join(f"{int(day.of(name).sum()):,} {name}" for name in day.classes)
    return Page(
        title=day.name,
        lead=f"{clock(day.seconds)} of leads {', '.join(day.leads)}; {len(day.sample):,} beats ({counts}), {rate}. "
        "Found by a program, for somebody to look at: no diagnosis.",
        warnings=[f"{note[:1].upper()}{note[1:]}." for note in odd],
        sections=[
            Section("day", "The day", _day(day, episodes)),
            *([Section("intervals", "QRS and QTc", _intervals(day, intervals))] if intervals else ()),
            Section("episodes", "Episodes", _episodes(episodes)),
            *(
                Section(kind.replace(" ", "-"), f"{kind[:1].upper()}{kind[1:]}", _kind(day, tape, episodes, kind))
                for kind in KINDS
            ),
            Section("clusters", "Clusters of beats", _clusters(day, number, clusters)),
            Section("quality", "Signal quality", _quality(day)),
        ],
    )


def _day(day: Day, episodes: Sequence[Episode]) -> list[Part]:
    said = (
        f"Heart rate, how unusual beats are for this patient, ectopic beats, episodes and signal quality over "
        f"{clock(day.seconds)}; the table below has the same by the hour."
    )
    hour = (day.time // 3600).astype(int)
    rows = []
    for each in range(int(day.seconds // 3600) + 1):
        mine = hour == each
        if not mine.any():
            continue
        rates = 60 / day.rr[mine & np.isfinite(day.rr)]
        spread = [f"{value:.0f}" for value in np.percentile(rates, [50, 5, 95])] if len(rates) else ["-"] * 3
        counts = [f"{int((mine & day.of(name)).sum()):,}" for name in day.classes]
        unusual = day.unusual[mine & np.isfinite(day.unusual)]
        much = f"{np.percentile(unusual, 95):.1f}" if len(unusual) else "-"
        stretches = day.readable[each * 360 : (each + 1) * 360]
        rows.append((f"{each:02d}:00", [f"{int(mine.sum()):,}", *spread, *counts, much, f"{stretches.mean():.0%}"]))
    columns = ["beats", "rate", "5 %", "95 %", *day.classes, "unusual, 95 %", "readable"]
    return [picture(timeline(day, episodes), said, _DPI), Table(columns, rows, "By the hour")]


def _intervals(day: Day, intervals: Sequence[dict[str, Any]]) -> list[Part]:
    rows = []
    for hour in range(int(day.seconds // 3600) + 1):
        mine = [row for row in intervals if row["start"] // 3600 == hour]
        if mine:
            of = {name: [row["median"] for row in mine if row["interval"] == name] for name in NAMES_OF_INTERVALS}
            rows.append((f"{hour:02d}:00", [f"{np.median(each):.0f}" if each else "-" for each in of.values()]))
    said = (
        f"QRS duration and QT corrected by Fridericia, lead {', '.join(day.read)}, from its waves; medians "
        "of five minutes in which at least half of the beats have them. The table has them by the hour."
    )
    drawn = over_the_day(list(intervals), day.seconds)
    return [picture(drawn, said, _DPI), Table(list(NAMES_OF_INTERVALS), rows, "By the hour, ms")]


def _episodes(episodes: Sequence[Episode]) -> list[Part]:
    if not episodes:
        return [Text("None was found.")]
    rows = []
    for kind in KINDS:
        mine = [each for each in episodes if each.kind == kind]
        if mine:
            longest = max(mine, key=lambda each: each.end - each.start)
            total = sum(each.end - each.start for each in mine)
            rows.append(
                (kind, [f"{len(mine):,}", clock(total), f"{longest.end - longest.start:.1f} s", clock(longest.start)])
            )
    return [Table(["number", "in all", "longest", "at"], rows)]


def _kind(day: Day, tape: Tape, episodes: Sequence[Episode], kind: str) -> list[Part]:
    mine = [each for each in episodes if each.kind == kind]
    if not mine:
        return []
    shown = sorted(
        sorted(mine, key=lambda each: (-each.confidence, -(each.end - each.start)))[:_STRIPS],
        key=lambda each: each.start,
    )
    said = "" if len(shown) == len(mine) else f" The {len(shown)} surest of {len(mine):,} are drawn."
    rows = [
        (clock(each.start), [f"{each.end - each.start:.1f}", f"{each.beats:,}", f"{each.confidence:.2f}", each.detail])
        for each in mine[:_ROWS]
    ]
    if len(mine) > _ROWS:
        said += f" The table has the first {_ROWS:,}; all are in episodes.csv."
    parts: list[Part] = [Text(said.strip())] if said else []
    for each in shown:
        words = f"{kind} at {clock(each.start)}, {each.detail}, confidence {each.confidence:.2f}"
        parts.append(picture(strip(day, tape, each), f"{words}. 200 ms and 0.5 mV a large square.", _DPI))
    return [
        *parts,
        Table(["seconds", "beats", "confidence", "measured"], rows, f"All that were found: {kind}", words=True),
    ]


def _clusters(day: Day, number: NDArray[np.int16], clusters: Sequence[Cluster]) -> list[Part]:
    if not clusters:
        return []
    titles, colours, rows = [], [], []
    for place, each in enumerate(clusters):
        mine = number == place
        shares = {name: float((mine & day.of(name)).sum()) / each.count for name in day.classes}
        most = max(shares, key=lambda name: shares[name])
        first = float(day.time[np.flatnonzero(mine)[0]])
        unusual = float(np.nanmedian(day.unusual[mine])) if np.isfinite(day.unusual[mine]).any() else float("nan")
        titles.append(f"{place + 1}: {each.count:,} beats, {shares[most]:.0%} {most}")
        colours.append(class_colour(most))
        parts = [f"{share:.0%}" for share in shares.values()]
        rows.append((f"{place + 1}", [f"{each.count:,}", *parts, f"{unusual:.1f}", clock(first)]))
    shown = min(_CLUSTERS, len(clusters))
    which = "each cluster" if shown == len(clusters) else f"the {shown} largest clusters"
    said = f"Median beat of {which} with its quartiles, lead {day.read[0]}."
    drawn = median_beats(clusters[:shown], titles, colours)
    return [picture(drawn, said, _DPI), Table(["beats", *day.classes, "unusual", "first at"], rows, "All clusters")]


def _quality(day: Day) -> list[Part]:
    rows = [
        (lead, [f"{(codes == code).mean():.1%}" for code in range(len(NAMES))])
        for lead, codes in zip(day.leads, day.codes, strict=True)
    ]
    return [Table(list(NAMES), rows, "Share of the time")]

"""One tape from its file to its folder: heard, judged, written, and gone on with where it was stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.tape import Tape, open_tape
from ssl_ecg.errors import DataError
from ssl_ecg.files import ensure_writable, write_text
from ssl_ecg.leads import canonical, pick
from ssl_ecg.monitor.beats import Day, judge
from ssl_ecg.monitor.clusters import Cluster, cluster
from ssl_ecg.monitor.episodes import Episode, Limits, find_episodes
from ssl_ecg.monitor.heard import Heard
from ssl_ecg.monitor.intervals import by_stretch
from ssl_ecg.monitor.listen import PIECE, Reader, listen, pieces_of
from ssl_ecg.monitor.outputs import (
    ANNOTATOR,
    safe,
    write_annotations,
    write_beats,
    write_episodes,
    write_intervals,
    write_quality,
)
from ssl_ecg.monitor.page import day_page
from ssl_ecg.study.head import Head
from ssl_ecg.waves import Head as WaveHead

_SHORTEST = 10.0  # s
_BEATS = 30.0, 180.0  # a minute: no median over a tape is beyond
_FORMAT = 3


@dataclass(frozen=True)
class Settings:
    """How tapes are read: those of the command that change what comes out."""

    limits: Limits
    fs: float | None = None
    leads: tuple[str, ...] | None = None
    unit: str | None = None
    lead: str | None = None
    waves: str | None = None
    """SHA-256 of the head that finds waves."""


@dataclass(frozen=True)
class Watched:
    """What became of a tape: its summary, as in `summary.json`, and how long it took, s; 0 if it was done before."""

    summary: dict[str, Any]
    took: float


Bar = Callable[[int], Callable[[int], None]]
"""Told how many pieces a tape has, gives what is told how many more are done."""


def watch(
    path: str,
    encoder: PretrainedEncoder,
    head: Head,
    folder: Path,
    settings: Settings,
    bar: Bar,
    waves: WaveHead | None = None,
) -> Watched:
    """Read a tape and write all that is known of it to a folder; with a head for `waves`, intervals too.

    Finished pieces lie in `folder/.pieces` until the rest is written; whoever is stopped goes on with them. A tape that
    was done before, with the same settings, is not read again. DataError for a tape that cannot be used.
    """
    begun, work = time.perf_counter(), folder / ".pieces"
    plan = _plan(path, encoder, head, settings)
    if (done := _done(folder, plan)) is not None:
        return Watched(done, 0.0)
    if not (work / "plan.json").exists() or json.loads((work / "plan.json").read_text()) != plan:
        shutil.rmtree(work, ignore_errors=True)
    tape = open_tape(path, work, settings.fs, settings.leads, settings.unit)
    if tape.seconds < _SHORTEST:
        raise DataError(f"{tape.seconds:.1f} s are too short: at least {_SHORTEST:g} s are needed")
    reader, notes = reader_of(tape, encoder, head, settings.lead)
    reader = replace(reader, waves=waves)
    ensure_writable(work)
    write_text(work / "plan.json", json.dumps(plan))
    heard = Heard(listen(tape, reader, work, bar(len(pieces_of(tape)))), tape.fs)
    day = judge(tape, heard, head, reader.leads, (*tape.notes, *notes))
    number, clusters = cluster(heard)
    episodes = find_episodes(day, settings.limits)
    write_beats(day, number, folder / "beats.parquet")
    write_episodes(episodes, folder / "episodes.csv")
    write_quality(day, folder / "quality.parquet")
    write_annotations(day, episodes, folder / f"{safe(tape.name)}.{ANNOTATOR}")
    intervals = by_stretch(heard.intervals(), tape.fs)
    if waves is not None:
        write_intervals(intervals, folder / "intervals.parquet")
    day_page(day, tape, episodes, number, clusters, oddities(day), intervals).write(folder / "report.html")
    summary = _summary(day, episodes, clusters, plan)
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return Watched(summary, time.perf_counter() - begun)


def reader_of(tape: Tape, encoder: PretrainedEncoder, head: Head, lead: str | None) -> tuple[Reader, tuple[str, ...]]:
    """Decide which leads of a tape the encoder reads: those the head was fitted on, or, of one, `lead` or the first.

    DataError where leads are lacking, or the rate is too low.
    """
    encoder.preprocessing.check_band(tape.fs)
    encoder.preprocessing.ratio(tape.fs)
    have = {canonical(name): name for name in tape.leads}
    try:
        if lead is None:
            pick(np.zeros((len(tape.leads), 1), np.float32), tape.leads, head.leads)
            return Reader(encoder, head.leads, head), ()
    except ValueError as error:
        if len(head.leads) > 1:
            raise DataError(f"{error}: the head reads {', '.join(head.leads)}") from None
    if len(head.leads) > 1:
        raise DataError(f"--lead is for heads of one lead, and this one reads {', '.join(head.leads)}")
    if lead is not None and canonical(lead) not in have:
        raise DataError(f"there is no lead {lead}: there are {', '.join(tape.leads)}")
    chosen = have[canonical(lead)] if lead is not None else tape.leads[0]
    note = f"the head was fitted on lead {head.leads[0]}, and lead {chosen} is read"
    return Reader(encoder, (chosen,), head), (note,)


def _plan(path: str, encoder: PretrainedEncoder, head: Head, settings: Settings) -> dict[str, Any]:
    """What all that is written depends on."""
    file = Path(path).expanduser()
    files = [each for each in (file, file.with_name(f"{file.name}.hea"), file.with_suffix(".dat")) if each.is_file()]
    stat = [[each.name, each.stat().st_size, each.stat().st_mtime_ns] for each in files]
    made = {"format": _FORMAT, "tape": str(file), "files": stat, "encoder": encoder.weights}
    plan = {**made, "head": head.about.get("sha256"), "piece": PIECE, "settings": asdict(settings)}
    return dict(json.loads(json.dumps(plan)))


def _done(folder: Path, plan: dict[str, Any]) -> dict[str, Any] | None:
    try:
        summary = json.loads((folder / "summary.json").read_text())
        return dict(summary) if summary["plan"] == plan else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def oddities(day: Day) -> list[str]:
    """Name what is odd about a day: its rate, its leads, its beats."""
    found = list(day.notes)
    known = day.rr[np.isfinite(day.rr)]
    rate = 60 / float(np.median(known)) if len(known) else 0.0
    if not _BEATS[0] <= rate <= _BEATS[1]:
        found.append(f"median heart rate {rate:.0f}/min: no heart's; is the sampling rate of {day.fs:g} Hz right?")
    lost = 1 - float(day.readable.mean())
    if lost > 0.01:
        found.append(f"{lost:.0%} of the time no lead could be read")
    return found


def _summary(day: Day, episodes: list[Episode], clusters: list[Cluster], plan: dict[str, Any]) -> dict[str, Any]:
    known = day.rr[np.isfinite(day.rr)]
    kinds = [each.kind for each in episodes]
    return {
        "record": day.name,
        "seconds": day.seconds,
        "fs": day.fs,
        "leads": list(day.leads),
        "read": list(day.read),
        "beats": len(day.sample),
        "rate": round(60 / float(np.median(known)), 1) if len(known) else None,
        "classes": {name: int(day.of(name).sum()) for name in day.classes},
        "without class": int((day.label < 0).sum()),
        "readable": round(float(day.readable.mean()), 4),
        "episodes": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "clusters": [each.count for each in clusters],
        "notes": oddities(day),
        "plan": plan,
    }

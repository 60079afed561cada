"""Waves and intervals of recordings that nobody has marked: Parquet, WFDB annotations, and strips."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.source import Recording, Source
from ssl_ecg.data.sources import Arrays, WFDBFolder
from ssl_ecg.delineate.strips import strip
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import ensure_writable, replacing
from ssl_ecg.report.figures import save
from ssl_ecg.report.tables import print_table
from ssl_ecg.waves.find import find_waves
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.intervals import NAMES, beats_of, summary
from ssl_ecg.waves.joining import join
from ssl_ecg.waves.matching import Found
from ssl_ecg.waves.quality import implausible, unusable

JOINED = "joined"
"""What stands for a lead's name where the waves are those of all leads together."""
_SYMBOLS = {"P": "p", "QRS": "N", "T": "t"}


@dataclass
class Applied:
    """What was found in recordings: rows of waves, of beats with their intervals, and of each record's medians.

    `refused` says of a record, or of one of its leads, why it has none.
    """

    folder: Path
    records: list[str] = field(default_factory=list)
    waves: list[dict[str, Any]] = field(default_factory=list)
    beats: list[dict[str, Any]] = field(default_factory=list)
    medians: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    took: float = 0.0

    def show(self, checkpoint: str, about: dict[str, Any]) -> None:
        """Print each record's medians, and what was refused."""
        table: dict[str, dict[str, str]] = {}
        for row in self.medians:
            if row["lead"] == JOINED:
                said = f"{row['median']:.0f} [{row['low']:.0f}, {row['high']:.0f}]" if "median" in row else "-"
                table.setdefault(row["record"], {})[f"{row['interval']} ms"] = said
        shown = dict(list(table.items())[:20])
        if shown:
            fitted = f"head fitted on {about.get('people')} people of {about.get('fitted_on')}"
            print_table(shown, title=f"{checkpoint}: median [quartiles] over beats, leads joined; {fitted}")
        if len(table) > len(shown):
            print(f"... and {len(table) - len(shown)} records more.")
        for name, why in self.refused.items():
            print(f"{name}: {why}")
        print(f"{self.seconds / 3600:.2f} hours of leads in {self.took:.1f} s. Written to {self.folder}")


def open_files(folder: Path) -> list[Source]:
    """Open the WFDB and EDF files of a folder, or one of them, as data; UserError if there are none."""
    folder = folder.expanduser()
    if not folder.exists():
        raise UserError(f"{folder} does not exist: give a folder of WFDB or EDF files")
    if folder.suffix == ".edf":
        return [Arrays(str(folder))]
    found: list[Source] = [WFDBFolder(str(folder))] if any(folder.rglob("*.hea")) else []
    found += [Arrays(str(file)) for file in sorted(folder.rglob("*.edf"))]
    if not found:
        raise UserError(
            f"{folder} has no WFDB (.hea) or EDF files; of others the rate and leads must be said: "
            "--data Arrays --data.path ... --data.fs ... --data.leads ..."
        )
    return found


def delineate(
    encoder: PretrainedEncoder, head: Head, sources: Sequence[Source], folder: Path, strips: int = 50
) -> Applied:
    """Find and measure the waves of every recording, and write them to a folder.

    `waves.parquet` has a row a wave, `beats.parquet` a row a beat with its intervals in ms, `intervals.parquet` each
    record's medians; every recording has a WFDB annotation file (`.waves`) of its joined waves, the first so many a
    strip. Whatever cannot be used is named, and the others go on. UserError if the folder cannot be written.
    """
    ensure_writable(folder)
    applied, start = Applied(folder), time.perf_counter()
    for recording in _readable(sources, applied):
        usable: dict[str, Found] = {}
        why = [unusable(signal, recording.fs) for signal in recording.signal]
        rows, seconds = [row for row, said in enumerate(why) if not said], recording.signal.shape[1] / recording.fs
        try:
            some = find_waves(encoder, head, recording.signal[rows], recording.fs) if rows else []
        except DataError as error:
            applied.refused[recording.record] = str(error)
            continue
        for row, found in zip(rows, some, strict=True):
            usable[recording.leads[row]] = found
            why[row] = implausible(found, seconds)
        for lead, said in zip(recording.leads, why, strict=True):
            if said:
                applied.refused[f"{recording.record}, lead {lead}"] = said
                usable.pop(lead, None)
        applied.seconds += seconds * len(usable)
        if not usable:
            continue
        applied.records.append(recording.record)
        together = join(list(usable.values()))
        for lead, found in {**usable, JOINED: together}.items():
            _note(applied, recording.record, lead, found)
        _annotate(folder, recording, together)
        if len(applied.records) <= strips:
            picture = folder / f"{_safe(recording.record)}.png"
            save(strip(recording, usable), picture, dpi=110)
    applied.took = time.perf_counter() - start
    if applied.records:
        tables = {"waves": applied.waves, "beats": applied.beats, "intervals": applied.medians}
        for name, table in tables.items():
            _write(table, folder / f"{name}.parquet")
    return applied


def _readable(sources: Sequence[Source], applied: Applied) -> Iterator[Recording]:
    for source in sources:
        for number, name in enumerate(source.records):
            try:
                yield source.read(number)
            except DataError as error:
                applied.refused[name] = str(error)


def _note(applied: Applied, record: str, lead: str, found: Found) -> None:
    """Add the rows of one lead."""
    where = {"record": record, "lead": lead}
    columns = found.labels, found.onset, found.peak, found.offset, found.confidence
    for label, *numbers in zip(*columns, strict=True):
        values = dict(zip(("onset", "peak", "offset", "confidence"), map(float, numbers), strict=True))
        applied.waves.append({**where, "wave": str(label), **values})
    beats = beats_of(found)
    for beat in beats:
        measured = {f"{name} ms": beat.intervals.get(name) for name in NAMES}
        why = "; ".join(dict.fromkeys(beat.missing.values()))
        applied.beats.append({**where, "time": beat.time, **measured, "missing": why})
    applied.medians += [{**where, "interval": name, **row} for name, row in summary(beats).items()]


def _annotate(folder: Path, recording: Recording, found: Found) -> None:
    """Write the waves as a WFDB annotation file: `(`, the wave, `)`."""
    import wfdb

    marks: list[tuple[int, str]] = []
    for label, on, peak, off in zip(found.labels, found.onset, found.peak, found.offset, strict=True):
        times = [round(float(each) * recording.fs) for each in (on, peak, off)]
        marks += zip(times, ("(", _SYMBOLS[str(label)], ")"), strict=True)
    marks.sort(key=lambda mark: mark[0])
    if marks:
        samples, symbols = np.array([max(0, at) for at, _ in marks]), [symbol for _, symbol in marks]
        wfdb.wrann(_safe(recording.record), "waves", samples, symbols, fs=recording.fs, write_dir=str(folder))


def _safe(record: str) -> str:
    """A record's name as that of a file: WFDB allows letters, digits, - and _."""
    return re.sub(r"[^\w-]", "_", record, flags=re.ASCII)


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as temporary:
        parquet.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), temporary)

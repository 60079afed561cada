"""What is written of a day: Parquet of beats and of signal quality, CSV of episodes, WFDB annotations."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.files import replacing
from ssl_ecg.monitor.beats import Day
from ssl_ecg.monitor.episodes import Episode
from ssl_ecg.monitor.quality import NAMES, STRETCH

ANNOTATOR = "beats"
"""Ends the name of the annotation file."""

_RHYTHMS = {"AF-like irregularity": "(AFIB", "ventricular run": "(VT", "supraventricular run": "(SVTA"}
_SYMBOLS = {"N", "S", "V", "F"}
_AT_ONCE = 2**16  # rows, written at once
_END = b"\0\0"  # of an annotation file


def safe(record: str) -> str:
    """A record's name as that of a file: WFDB allows letters, digits, - and _."""
    return re.sub(r"[^\w-]", "_", record, flags=re.ASCII)


def write_beats(day: Day, cluster: NDArray[np.int16], path: Path) -> None:
    """Write a row a beat; `docs/questions/monitor.md` says what the columns are."""
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {
        "sample": day.sample,
        "time": day.time,
        "rr": day.rr,
        "class": np.array([*day.classes, ""])[day.label],
        "confidence": day.confidence,
        **{f"p_{name}": day.p[:, i] for i, name in enumerate(day.classes)},
        "unusual": day.unusual,
        "abnormal": day.abnormal,
        "cluster": cluster,
        "quality": day.quality,
    }

    def table(rows: slice) -> pa.Table:
        return pa.table({name: pa.array(column[rows]) for name, column in columns.items()})

    with replacing(path) as temporary, parquet.ParquetWriter(temporary, table(slice(0)).schema) as file:
        for rows in _parts(len(day.sample)):
            file.write_table(table(rows))


def write_episodes(episodes: Sequence[Episode], path: Path) -> None:
    """Write a row an episode: kind, start and end in s, beats, confidence, and what was measured."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", "start", "end", "beats", "confidence", "detail"])
        for each in episodes:
            span = f"{each.start:.3f}", f"{each.end:.3f}"
            writer.writerow([each.kind, *span, each.beats, f"{each.confidence:.3f}", each.detail])


def write_quality(day: Day, path: Path) -> None:
    """Write a row for each stretch of 10 s of each lead: its start in s, the lead, what is wrong, and a quality."""
    import pyarrow as pa
    from pyarrow import parquet

    rows, count = day.codes.shape
    columns: dict[str, Any] = {
        "start": np.tile(np.arange(count) * STRETCH, rows),
        "lead": np.repeat(np.array(day.leads), count),
        "state": np.array(NAMES)[day.codes.ravel()],
        "quality": day.clear.ravel(),
    }
    with replacing(path) as temporary:
        parquet.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), temporary)


def write_intervals(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a row for each interval of each stretch of five minutes: see `by_stretch`."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"start": pa.float64(), "interval": pa.string(), "beats": pa.int64()}
    columns |= dict.fromkeys(("median", "low", "high"), pa.float64())
    with replacing(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(columns)), temporary)


def write_annotations(day: Day, episodes: Sequence[Episode], path: Path) -> None:
    """Write the beats as a WFDB annotation file, Q where there is no class; `+` where a rhythm begins and ends."""
    import wfdb

    names = np.array([name if name in _SYMBOLS else "Q" for name in (*day.classes, "")])
    marks = [
        mark
        for each in episodes
        if each.kind in _RHYTHMS
        for mark in ((each.start, _RHYTHMS[each.kind]), (each.end, "(N"))
    ]
    at = np.concatenate([day.sample, np.rint([time * day.fs for time, _ in marks]).astype(np.int64)])
    symbols = np.concatenate([names[day.label], np.full(len(marks), "+")])
    notes = {len(day.sample) + number: note for number, (_, note) in enumerate(marks)}
    order, before = np.argsort(at, kind="stable"), 0
    # wfdb names its files itself, and takes all of them in lists: each part goes on from where the last one ended
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
        replacing(path) as temporary,
        open(temporary, "wb") as file,
    ):
        for rows in (order[part] for part in _parts(len(order))):
            where: dict[str, Any] = {"write_dir": folder, "aux_note": [notes.get(row, "") for row in rows.tolist()]}
            where |= {} if before else {"fs": day.fs}
            wfdb.wrann(path.stem, path.suffix[1:], at[rows] - before, symbols[rows].tolist(), **where)
            file.write((Path(folder) / path.name).read_bytes()[: -len(_END)])
            before = int(at[rows[-1]])
        file.write(_END)


def _parts(n: int) -> Iterator[slice]:
    """Parts of so many rows: what writing takes does not grow with the tape."""
    return (slice(i, i + _AT_ONCE) for i in range(0, n, _AT_ONCE))

"""What is written of a day: Parquet of beats and of signal quality, CSV of episodes, WFDB annotations."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Sequence
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
    with replacing(path) as temporary:
        parquet.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), temporary)


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

    symbols = [name if name in _SYMBOLS else "Q" for name in np.array([*day.classes, ""])[day.label].tolist()]
    marks = [(at, symbol, "") for at, symbol in zip(day.sample.tolist(), symbols, strict=True)]
    for each in episodes:
        if each.kind in _RHYTHMS:
            marks.append((round(each.start * day.fs), "+", _RHYTHMS[each.kind]))
            marks.append((round(each.end * day.fs), "+", "(N"))
    marks.sort(key=lambda mark: mark[0])
    at, symbols, notes = map(list, zip(*marks, strict=True))
    # wfdb names its files itself, and writes them in place
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, replacing(path) as temporary:
        where: dict[str, Any] = {"fs": day.fs, "write_dir": folder, "aux_note": notes}
        wfdb.wrann(path.stem, path.suffix[1:], np.array(at), symbols, **where)
        (Path(folder) / path.name).rename(temporary)

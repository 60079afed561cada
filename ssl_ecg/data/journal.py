"""A store in the making: what is converted stays, whenever the process is killed.

Signals are appended to one file, and each chunk of recordings to a journal beside it, one line of JSON, once its
signals are written. What a kill left half done is cut off again at the next start. Rows are only ever appended in
the source's order, so the files do not depend on where the work was interrupted or on how many processes did it.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssl_ecg.data.convert import BEATS, SPANS, Chunk
from ssl_ecg.errors import DataError

_TYPES: dict[str, pa.DataType] = dict.fromkeys(("length", "of", "r_peak", "start", "end"), pa.int64())
_TYPES |= {"scale": pa.float32(), "source_fs": pa.float64(), "age": pa.float32()}  # all others are text
_MANY_ALIKE = ("patient", "split", "labels", "sex", "label", "lead")  # written as numbers of distinct values

SIGNALS = "signals.i16"
NAME = "journal.jsonl"


class Journal:
    """What is converted so far, in the folder of a store in the making; a context manager.

    Of the source's recordings, `done` are dealt with and `dropped` of these left out; the store has `kept` rows so far,
    with signals of `bytes`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines = folder / NAME
        self.done = self.kept = self.dropped = self.bytes = 0
        end = 0
        if self._lines.exists() and (folder / SIGNALS).exists():
            with open(self._lines, "rb") as lines, open(folder / SIGNALS, "rb") as signals:
                for line in lines:
                    if not line.endswith(b"\n"):  # half a line
                        break
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        break
                    if zlib.crc32(signals.read(entry["bytes"])) != entry["crc"]:
                        break
                    self._count(entry)
                    end += len(line)
        self._journal = open(self._lines, "ab")  # noqa: SIM115  (closed by __exit__)
        self._signals = open(folder / SIGNALS, "ab")  # noqa: SIM115
        self._journal.truncate(end)
        self._signals.truncate(self.bytes)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._journal.close()
        self._signals.close()

    def add(self, chunk: Chunk) -> None:
        """Append a chunk: the signals first, so that what the journal tells of is there."""
        crc = size = 0
        for x in chunk.signals:
            content = x.tobytes()
            crc = zlib.crc32(content, crc)
            size += self._signals.write(content)
        self._signals.flush()
        entry: dict[str, Any] = {"count": chunk.count, "kept": len(chunk.signals), "bytes": size, "crc": crc}
        entry |= {name: getattr(chunk, name) for name in ("records", "beats", "spans", "dropped", "noted")}
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        self._count(entry)

    def finish(self) -> dict[str, list[dict[str, str]]]:
        """Write the tables, and report recordings left out and why ("dropped"), and what was odd with others ("noted").

        DataError if another process wrote here too, where files cannot be locked.
        """
        self._journal.flush()
        tables: dict[str, list[pa.RecordBatch]] = {"records": [], "beats": [], "spans": []}
        report: dict[str, list[dict[str, str]]] = {"dropped": [], "noted": []}
        offset = first = 0
        with open(self._lines, "rb") as lines:
            for line in lines:
                entry = json.loads(line)
                table = entry["records"]
                per_sample = entry["bytes"] // 2 // max(1, sum(table["length"]))  # leads
                before = np.concatenate([[0], np.cumsum(table["length"], dtype=np.int64)]) * per_sample
                tables["records"].append(_batch(table, tuple(table), {"offset": offset + before[:-1]}))
                offset += int(before[-1])
                for name, columns in (("beats", BEATS), ("spans", SPANS)):
                    record = first + np.array(entry[name]["of"], dtype=np.int32)
                    tables[name].append(_batch(entry[name], columns, {"record": record}))
                first += entry["kept"]
                report["dropped"] += [{"record": record, "reason": reason} for record, reason in entry["dropped"]]
                report["noted"] += [{"record": record, "note": note} for record, note in entry["noted"]]
        if first != self.kept or 2 * offset != self.bytes or self.bytes != (self.folder / SIGNALS).stat().st_size:
            raise DataError(f"another process wrote into {self.folder} at the same time: run it again, alone")
        for name, batches in tables.items():
            table = pa.Table.from_batches(batches)
            alike = (*_MANY_ALIKE, "record") if name == "records" and "lead" in table.column_names else _MANY_ALIKE
            pq.write_table(_compact(table, alike), self.folder / f"{name}.parquet")
        return report

    @staticmethod
    def done_in(folder: Path) -> int:
        """How many recordings a journal in this folder has dealt with."""
        with Journal(folder) as journal:
            return journal.done

    @staticmethod
    def has_dropped(folder: Path) -> bool:
        """Whether a journal in this folder has left out a recording."""
        with Journal(folder) as journal:
            return journal.dropped > 0

    @staticmethod
    def remove(folder: Path) -> None:
        """Take the journal away: the tables are written, or all is to be read again."""
        (folder / NAME).unlink(missing_ok=True)

    def _count(self, entry: dict[str, Any]) -> None:
        self.done += entry["count"]
        self.kept += entry["kept"]
        self.dropped += len(entry["dropped"])
        self.bytes += entry["bytes"]


def _batch(columns: dict[str, list[Any]], names: tuple[str, ...], more: dict[str, Any]) -> pa.RecordBatch:
    arrays = {name: pa.array(columns[name], _TYPES.get(name, pa.string())) for name in names}
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in more.items()} | arrays)


def _compact(table: pa.Table, alike: tuple[str, ...]) -> pa.Table:
    """Each column in one piece, repeated text as numbers of distinct values: a million rows load in a second."""
    table = table.combine_chunks()
    for i, name in enumerate(table.column_names):
        if name in alike:
            column = table.column(i).dictionary_encode().combine_chunks()
            table = table.set_column(i, name, column)
    return table

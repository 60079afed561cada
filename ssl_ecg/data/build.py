"""Build the store of a source: read once, in parallel, and resumed after a kill."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ssl_ecg.data.convert import Chunk, convert
from ssl_ecg.data.journal import Journal
from ssl_ecg.data.progress import bar
from ssl_ecg.data.shards import Shard, shards
from ssl_ecg.data.source import Source
from ssl_ecg.data.sources.prepared import Prepared
from ssl_ecg.data.store import FORMAT, Store
from ssl_ecg.data.workers import in_order
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import alone_in, default_cache, write_text
from ssl_ecg.fingerprint import code_fingerprint
from ssl_ecg.launch import Launcher
from ssl_ecg.preprocessing import Preprocessing

# Whose code decides what a store holds, beside the source's own; and what a source inherits that does not.
_CONVERSION = (
    *("ssl_ecg.preprocessing", "ssl_ecg.leads", "ssl_ecg.data.convert", "ssl_ecg.data.splits"),
    *("ssl_ecg.data.wfdb_io", "ssl_ecg.data.array_files", "ssl_ecg.data.tables"),
)
_CONTRACT = {"ssl_ecg.data.source", "abc", "builtins"}
_TASK_BYTES = 8_000_000  # of converted signals for a worker at a time: little to lose at a kill, little to wait for
_SHARDS = "shards"  # folder of what jobs convert, in that of the store in the making
_AT_FIRST = 1.0  # s: of work in this process, to learn what a recording takes
_WORTH_WORKERS = 5.0  # s: starting processes takes a few


def build(
    source: Source,
    preprocessing: Preprocessing,
    cache: str | Path | None = None,
    *,
    limit: int | None = None,
    strict: bool | None = None,
    workers: int = 1,
    again: bool = False,
    progress: str | None = None,
    launcher: Launcher | None = None,
) -> Store:
    """Open the store of a source, reading the source only if that was not done before.

    Killed at any moment, the same call goes on; the finished store is the same, byte for byte. Of the preprocessing,
    only what `condition` depends on decides whether a store can be used again. `cache` is the folder of all stores,
    `default_cache()` if None; `limit` reads the first so many recordings only, into a store of their own. If `strict`,
    a recording that cannot be used is an error, else it is left out and named in the store's report; None does what the
    source's protocol needs. `workers` are processes, 0 for one per core, started only if there is work for some
    seconds; `again` reads the source although it was done before; `progress` is the title of a progress bar, None for
    none. `launcher` has the recordings converted by jobs, on any machine that sees the source and the cache.

    DataError, saying the remedy, if the source's files are missing, no recording can be used (or one cannot, if
    strict), or the store cannot be written; UserError for a limit or a number of workers below what makes sense.
    """
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1, not {limit}")
    if workers < 0:
        raise UserError(f"workers must be 0 (one per core) or more, not {workers}")
    if isinstance(source, Prepared):
        if limit is not None or again:
            raise UserError("what is prepared already can be neither limited nor made again: give the source itself")
        return source.open(preprocessing)
    source.ensure(limit)
    strict = source.protocol if strict is None else strict
    text, target = _identity(source, preprocessing, cache, limit)
    if (target / "store.json").exists() and not again:
        return _opened(target, source, strict)
    folder = target.parent
    part = folder / f".{target.name}{'.again' if again else ''}.part"
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache {folder} ({error.strerror}): set SSL_ECG_CACHE to a folder you may write to"
        ) from None
    with alone_in(part):
        if (target / "store.json").exists() and not again:  # another process was faster
            shutil.rmtree(part, ignore_errors=True)
            return _opened(target, source, strict)
        try:
            if not (part / "store.json").exists():
                _write(source, preprocessing, part, limit, strict, workers, progress, launcher or Launcher())
                _describe(part, text, source)
            Journal.remove(part)
            _take_place(part, target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DataError(
                    f"no space is left in {folder}: free some, or set SSL_ECG_CACHE (--cache) to a larger disk; "
                    "what is done is kept, and the same command goes on"
                ) from None
            raise DataError(f"cannot write the store {part}: {error}") from None
    return Store(target, source)


def all_leads(source: Source, preprocessing: Preprocessing) -> Preprocessing:
    """How to prepare a data set for an encoder: of any lead, with all leads its recordings have side by side."""
    if preprocessing.any_leads:
        source.ensure()  # before it, some do not know their leads
    return preprocessing.on(source.leads)


def _take_place(part: Path, target: Path) -> None:
    """Rename a finished store; an older one stays until the new one is in its place."""
    before = part.with_suffix(".old")
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():  # it is made anew, or a crash of an older version left it
        os.replace(target, before)
    os.replace(part, target)
    shutil.rmtree(before, ignore_errors=True)


def find(
    source: Source, preprocessing: Preprocessing, cache: str | Path | None = None, limit: int | None = None
) -> Path | None:
    """Find the folder of the finished store, if there is one; call `source.ensure` before."""
    target = _identity(source, preprocessing, cache, limit)[1]
    return target if (target / "store.json").exists() else None


def _identity(
    source: Source, preprocessing: Preprocessing, cache: str | Path | None, limit: int | None
) -> tuple[str, Path]:
    """Describe what a store is made of, as JSON, and name its folder after it."""
    meta: dict[str, Any] = {
        "format": FORMAT,
        "code": code_fingerprint(*_CONVERSION, *{kind.__module__ for kind in type(source).__mro__} - _CONTRACT),
        "source": type(source).__name__,
        "fingerprint": source.fingerprint(),
        "preprocessing": preprocessing.conditioning(),
    }
    if limit is not None:
        meta["limit"] = limit
    text = json.dumps(meta, sort_keys=True, indent=1)
    name = f"{type(source).__name__.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text, (Path(cache) if cache is not None else default_cache()) / name


def _opened(target: Path, source: Source, strict: bool) -> Store:
    store = Store(target, source)
    if strict and (dropped := store.report["dropped"]):
        raise DataError(
            f"{len(dropped):,} recording(s) cannot be used. The first, {dropped[0]['record']}: {dropped[0]['reason']}"
        )
    return store


def _write(
    source: Source,
    preprocessing: Preprocessing,
    part: Path,
    limit: int | None,
    strict: bool,
    workers: int,
    progress: str | None,
    launcher: Launcher,
) -> None:
    """Convert what is not yet converted, and write the tables."""
    names = source.records[:limit]
    if not names:
        raise DataError(f"{type(source).__name__} has no recordings: look at its root and settings")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"two recordings are named {twice}: rename or remove one")
    shared = (source, preprocessing, strict)
    quiet = progress is None
    for left in part.glob(".*.tmp"):  # by a kill
        left.unlink()
    if strict and Journal.has_dropped(part):
        Journal.remove(part)  # it may have been mended since
    made = shards(len(names), launcher.jobs, part / _SHARDS) if launcher.away else []
    if missing := [shard for shard in made if shard.numbers.stop > Journal.done_in(part)]:
        if not quiet:
            print(f"{len(missing)} shards go to jobs; logs in {part / _SHARDS / 'jobs'}", file=sys.stderr)
        launcher.run(partial(_convert_shards, shared, launcher.cpus), missing, part / _SHARDS / "jobs")
    with Journal(part) as journal, bar(progress or "", len(names), journal.done, quiet) as advance:
        if journal.done and not quiet:
            print(f"going on after {journal.done:,} of {len(names):,} recordings", file=sys.stderr)
        for chunk in chain(_merged(made, journal), _chunks(shared, journal, range(len(names)), workers)):
            listed = names[journal.done :][: chunk.count]  # another process must find the same ones under these numbers
            if {*chunk.records["record"], *(name for name, _ in chunk.dropped)} != {*listed}:
                raise DataError(
                    f"the recordings are not those listed at the start ({listed[0]}, ...): were files added or removed?"
                )
            journal.add(chunk)
            advance(chunk.count)
        report = journal.finish()
        if not journal.kept:
            Journal.remove(part)  # nothing is lost, and the next try reads the files again
            first = report["dropped"][0]
            raise DataError(
                f"none of the {len(names):,} recordings can be used. The first, {first['record']}: {first['reason']}"
            )
    write_text(part / "report.json", json.dumps(report, indent=1))
    shutil.rmtree(part / _SHARDS, ignore_errors=True)


def _convert_shards(shared: tuple[Source, Preprocessing, bool], workers: int, shards: Sequence[Shard]) -> None:
    """Convert some shards, or what is missing of them: the work of a job."""
    for shard in shards:
        with alone_in(shard.folder), Journal(shard.folder) as journal:
            for chunk in _chunks(shared, journal, shard.numbers, workers):
                journal.add(chunk)


def _merged(shards: list[Shard], journal: Journal) -> Iterator[Chunk]:
    """Give the chunks that a journal lacks from shards, in order; a shard goes when all of it is there."""
    for shard in shards:
        for start, chunk in shard.chunks() if journal.done < shard.numbers.stop else ():
            if start == journal.done:
                yield chunk
        if journal.done < shard.numbers.stop:
            return  # damaged: it is converted here
        shard.remove()


def _chunks(
    shared: tuple[Source, Preprocessing, bool], journal: Journal, numbers: range, workers: int
) -> Iterator[Chunk]:
    """Convert what is not yet converted of some recordings, in order."""
    # The first second's worth here: it tells how large a task should be, and whether processes are worth starting.
    started, first, total = time.perf_counter(), journal.done, len(numbers)
    while journal.done < total and (journal.done == first or time.perf_counter() - started < _AT_FIRST):
        yield convert(*shared, numbers[journal.done : journal.done + 1])
    left = total - journal.done
    seconds = left * (time.perf_counter() - started) / max(1, journal.done - first)
    per_recording = journal.bytes / max(1, journal.done - journal.dropped)
    needed, free = per_recording * left, shutil.disk_usage(journal.folder).free
    if needed > free:  # refused early, not when the disk is full
        raise DataError(
            f"the store needs about {needed / 1e9:.1f} GB more, and {journal.folder.parent} has {free / 1e9:.1f} GB: "
            "free some, or set SSL_ECG_CACHE (--cache) to a larger disk"
        )
    size = max(1, min(256, int(_TASK_BYTES / per_recording))) if journal.kept else 1
    tasks = (numbers[i : i + size] for i in range(journal.done, total, size))
    workers = workers or os.cpu_count() or 1
    if workers > 1 and seconds > _WORTH_WORKERS:
        yield from in_order(convert, shared, tasks, workers)
    else:
        yield from (convert(*shared, task) for task in tasks)


def _describe(part: Path, identity: str, source: Source) -> None:
    """Write store.json, last of all: what the store is, and what the source says of it where it is not at hand."""
    about = {
        "cohort": source.cohort or type(source).__name__,
        "covers": list(source.covers),
        "simulated": source.simulated,
        "patients_known": source.patients_known,
        "task": source.task,
        "multilabel": source.multilabel,
        "amplitude_unit": source.amplitude_unit,
        "classes": list(source.classes),
        "meaning": {label: list(classes) for label, classes in source.meaning.items()},
        "shared_patients": {patient: list(records) for patient, records in source.shared_patients.items()},
    }
    write_text(part / "store.json", json.dumps(json.loads(identity) | about, sort_keys=True, indent=1))

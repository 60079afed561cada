"""What a million recordings cost that many jobs have prepared: putting their shards together, and opening the store.

    python experiments/benchmarks/shards.py --records 1000000 --jobs 100

Simulated: the jobs' shards are written here, with tables as of twelve leads at 500 Hz but --samples of signal only, so
that the million takes half a GB in place of 120. What copying the signals adds is timed apart, and stands per GB. CPU
times, which a busy machine moves little.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_ecg.data.build import build
from ssl_ecg.data.convert import BEATS, RECORDS, SPANS, Chunk
from ssl_ecg.data.journal import Journal
from ssl_ecg.data.shards import Shard, shards
from ssl_ecg.data.source import Recording, Source
from ssl_ecg.data.store import Store
from ssl_ecg.launch import Launcher
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

CHUNK = 66  # recordings: what a worker converts at a time of ten seconds of twelve leads at 500 Hz


class Many(Source):
    """Names of recordings, which jobs have converted already."""

    classes = ("NORM", "AF")
    task: Literal["record"] = "record"
    leads = STANDARD_12

    def __init__(self, count: int) -> None:
        self.count = count

    def ensure(self, limit: int | None = None) -> None:
        """There are no files."""

    def fingerprint(self) -> dict[str, object]:
        """Tell it from others."""
        return {"count": self.count}

    @cached_property
    def records(self) -> Sequence[str]:
        """Name them, as paths of files."""
        return [f"files/p{i // 2:07d}/s{i:08d}" for i in range(self.count)]

    def read(self, number: int) -> Recording:
        """Fail: nothing is read."""
        raise AssertionError("its shard is there")


class Finished(Launcher):
    """Jobs that are done before they are asked for; `samples` of each of their recordings' signals are written."""

    samples = 20

    def run(self, function: Callable[..., Any], items: Sequence[Shard], folder: Path) -> list[Any]:
        """Write the shards, in a process whose memory is its own."""
        assert isinstance(function, partial)
        source = function.args[0][0]
        writer = multiprocessing.get_context("fork").Process(target=write, args=(source.records, items, self.samples))
        writer.start()
        writer.join()
        self.started[:] = [time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
        return []

    started: list[float] = []  # noqa: RUF012


def write(names: Sequence[str], made: Sequence[Shard], samples: int) -> None:
    """Write the shards, as a job would."""
    signals = np.random.default_rng(0).integers(-3000, 3000, (CHUNK, len(STANDARD_12), samples), dtype=np.int16)
    for shard in made:
        shard.folder.mkdir(parents=True)
        with Journal(shard.folder) as journal:
            for start in range(shard.numbers.start, shard.numbers.stop, CHUNK):
                numbers = range(start, min(start + CHUNK, shard.numbers.stop))
                columns = (
                    [names[i] for i in numbers],
                    [f"{i // 2:07d}" for i in numbers],
                    ["train"] * len(numbers),
                    ["NORM" if i % 3 else "AF;NORM" for i in numbers],
                    [samples] * len(numbers),
                    [float(np.float32(0.0004 + i % 997 * 1e-6)) for i in numbers],
                    [500.0] * len(numbers),
                    [20.0 + i % 70 for i in numbers],
                    ["F" if i % 2 else "M" for i in numbers],
                )
                chunk = Chunk(
                    count=len(numbers),
                    signals=list(signals[: len(numbers)]),
                    records=dict(zip(RECORDS, columns, strict=True)),
                    beats={name: [] for name in ("of", *BEATS)},
                    spans={name: [] for name in ("of", *SPANS)},
                )
                journal.add(chunk)


def copying(folder: Path) -> float:
    """CPU seconds that a GB of signals takes, long recordings in one shard: read, checked, written, read, checked."""
    spent, of = [], (0.1, 0.3)
    for gigabytes in of:
        samples = 5000
        count = int(gigabytes * 1e9 / (2 * samples * len(STANDARD_12)))
        cache = folder / f"copy{count}"
        Finished.samples = samples
        build(Many(count), Preprocessing(leads=STANDARD_12), cache, launcher=Finished("local", jobs=1))
        spent.append(time.process_time() - Finished.started[0])
        shutil.rmtree(cache)
    return (spent[1] - spent[0]) / (of[1] - of[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=20, help="of a recording's signal")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        source, how, begun = Many(given.records), Preprocessing(leads=STANDARD_12), time.process_time()
        Finished.samples = given.samples
        store = build(source, how, folder, launcher=Finished("local", jobs=given.jobs))
        ended, (started, memory) = time.process_time(), Finished.started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{given.records:,} recordings in {len(shards(given.records, given.jobs, Path(folder))):,} shards")
        print(f"names and plan        {started - begun:8.1f} s")
        print(f"merge and tables      {ended - started:8.1f} s, {(peak - memory) / 1e6:.2f} GB of memory")
        print(
            f"tables                {sum(path.stat().st_size for path in store.path.glob('*.parquet')) / 1e6:8.1f} MB"
        )
        begun = time.process_time()
        Store(store.path, source)
        print(f"opening it            {time.process_time() - begun:8.1f} s")
        print(f"signals               {copying(Path(folder)):8.1f} s a GB")


if __name__ == "__main__":
    main()

"""A store made by many jobs: each converts shards of the recordings, which are then put together in order.

A shard is a folder of its own with signals and a journal, so that a job which is killed goes on with it. The chunks of
all shards, in order, are those that one process would have made: the store is the same, byte for byte.
"""

from __future__ import annotations

import json
import math
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ssl_ecg.data.convert import Chunk
from ssl_ecg.data.journal import NAME, SIGNALS

LARGEST = 2000  # recordings


@dataclass(frozen=True)
class Shard:
    """The recordings `numbers`, to be converted in `folder`."""

    numbers: range
    folder: Path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Read what is converted, with the number of each chunk's first recording; ends at what is damaged."""
        at = self.numbers.start
        with open(self.folder / NAME, "rb") as lines, open(self.folder / SIGNALS, "rb") as signals:
            for line in lines:
                entry = json.loads(line)
                content = signals.read(entry["bytes"])
                if zlib.crc32(content) != entry["crc"]:
                    return
                samples, lengths = np.frombuffer(content, dtype=np.int16), entry["records"]["length"]
                leads = len(samples) // max(1, sum(lengths))
                ends = leads * np.cumsum(lengths, dtype=np.int64)
                said = {field.name: entry[field.name] for field in fields(Chunk) if field.name in entry}
                yield at, Chunk(**said, signals=np.split(samples, ends[:-1]) if lengths else [])
                at += entry["count"]

    def remove(self) -> None:
        """Take it away: it is part of the store."""
        shutil.rmtree(self.folder, ignore_errors=True)


def shards(total: int, jobs: int, folder: Path) -> list[Shard]:
    """Divide recordings among shards in a folder: the same ones whatever the number of jobs, where there are many."""
    size = min(LARGEST, math.ceil(total / jobs))
    parts = (range(start, min(start + size, total)) for start in range(0, total, size))
    return [Shard(numbers, folder / f"{numbers.start:09d}-{numbers.stop:09d}") for numbers in parts]

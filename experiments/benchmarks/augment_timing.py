"""What the benchmarks of augmentations share: signals, memory, a clock, rounds, and tables in text, CSV and JSON."""

from __future__ import annotations

import csv
import ctypes
import json
import math
import os
import platform
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

Row = dict[str, Any]
WAVES = ((-0.16, 0.025, 0.15), (-0.03, 0.01, -0.1), (0.0, 0.012, 1.0), (0.03, 0.01, -0.25), (0.25, 0.05, 0.3))


def signals(batch: int, leads: int, length: int, fs: float) -> Tensor:
    """Something like ECG, so that what looks for beats finds some: five waves a beat, 50 to 100 beats a minute.

    Args:
        batch: How many records.
        leads: How many leads.
        length: Samples in time.
        fs: Sampling rate in Hz.

    Returns:
        Signals in mV, (batch, leads, length), float32.
    """
    generator = torch.Generator().manual_seed(0)
    interval = torch.empty(batch, 1).uniform_(0.6, 1.2, generator=generator)
    offset = torch.rand(batch, 1, generator=generator)
    since = ((torch.arange(length) / fs / interval + offset) % 1) * interval - 0.3  # seconds from the R peak
    beat = torch.stack([height * torch.exp(-0.5 * ((since - at) / sd) ** 2) for at, sd, height in WAVES]).sum(0)
    gain = torch.randn(batch, leads, 1, generator=generator)
    return gain * beat[:, None] + 0.02 * torch.randn(batch, leads, length, generator=generator)


def keep_memory() -> None:
    """From here on glibc keeps freed memory for the next tensor, as it does in a process that trains a network.

    It hands blocks back to the system until it has once seen a bigger one freed, 32 MiB at most.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def fresh_memory() -> bool:
    """From here on glibc maps new pages for every tensor of more than 64 KiB.

    There is no way back, and it must come before any tensor: what glibc has kept it goes on using.

    Returns:
        Whether it could be asked to: elsewhere than on Linux, or with another allocator, it cannot.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(-3, 2**16))  # M_MMAP_THRESHOLD
    except (AttributeError, OSError, TypeError):
        return False


def fresh_copy(shape: tuple[int, ...], repeats: int) -> float | None:
    """The median time of a copy to fresh pages, in seconds, with one thread; to be called in a new process.

    Args:
        shape: Of the batch.
        repeats: How often.

    Returns:
        The time, or None where `fresh_memory` cannot be had.
    """
    if not fresh_memory():
        return None
    return measure({"copy": torch.randn(shape).clone}, 1, repeats)["copy"]


def measure(
    cases: dict[str, Callable[[], object]],
    threads: int,
    repeats: int,
    budget: float = math.inf,
    often: str | None = None,
) -> dict[str, float]:
    """Times every case, round by round, each round in another order: what disturbs one disturbs all.

    With one thread the clock is the processor's time, which other jobs on the machine disturb less.

    Args:
        cases: What to time, by name.
        threads: Of torch.
        repeats: Rounds.
        budget: Seconds that one case may take in all; a slow one sits rounds out, all but three.
        often: The case that others are compared with: five times a round.

    Returns:
        The median time of each, in seconds.
    """
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    order, shuffle = list(cases) + ([] if often is None else 4 * [often]), random.Random(0).shuffle
    times: dict[str, list[float]] = {name: [] for name in cases}
    every = dict.fromkeys(cases, 1)
    for name, case in cases.items():  # once to warm up, once to see how long it takes
        case()
        began = time.perf_counter()
        case()
        slow = math.ceil((time.perf_counter() - began) * repeats / budget)
        every[name] = max(1, min(slow, repeats // 3))
    for turn in range(repeats):
        shuffle(order)
        for name in order:
            if turn % every[name] == 0:
                began = clock()
                cases[name]()
                times[name].append(clock() - began)
    return {name: median(values) for name, values in times.items()}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), "")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def table(rows: Iterable[Row], columns: dict[str, str]) -> str:
    """Sets rows in plain text.

    Args:
        rows: What to show; a missing cell stays empty.
        columns: For each column its format, as in "{:>8,.2f}"; the first column is as wide as it needs.

    Returns:
        Lines, the first with the names of the columns.
    """
    lines = [
        ["" if row.get(name) is None else form.format(row[name]) for name, form in columns.items()] for row in rows
    ]
    lines.insert(0, list(columns))
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    )


def write(folder: str | Path, name: str, rows: list[Row], about: dict[str, Any]) -> None:
    """Writes the rows as NAME.csv, and with what they depend on as NAME.json.

    Args:
        folder: Where to; made if it is not there.
        name: Of the files.
        rows: One dictionary a line.
        about: Settings and machine.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{key: round(cell, 4) if isinstance(cell, float) else cell for key, cell in row.items()} for row in rows]
    (folder / f"{name}.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)

"""How fast data is prepared, how fast batches come from a store, and what a store of a million records costs.

    python experiments/benchmarks/data.py --ptbxl ../shared/data/ptb-xl

Ratios carry over to other machines, absolute numbers do not. Needs about 100 MB of disk for each 2,000 records of
PTB-XL and, because its signals are a sparse file of zeros, about 50 MB for the million. Random reads from a disk
itself are timed with --disk, on a file of that many GB which is written, and put out of the cache, first.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset

from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.sources import PTBXL, Simulated
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import Whole, WindowSet
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

BATCH = 256
TWELVE = Preprocessing(leads=STANDARD_12, window=10.0, normalise="none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, help="root of PTB-XL; without it, nothing is timed on files")
    parser.add_argument("--records", type=int, default=1_000_000, help="of the large store")
    parser.add_argument("--disk", type=float, default=0, help="GB of the file for random reads from the disk")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        cache = Path(folder)
        if given.ptbxl:
            preparing(given.ptbxl, cache)
        batches(cache, given.ptbxl)
        million(cache, given.records)
        if given.disk:
            from_disk(cache, given.disk)


def preparing(root: Path, cache: Path) -> None:
    """Records/s of one process and of all, beside what wfdb alone takes to read the same files."""
    import wfdb

    source = PTBXL(str(root))
    source.ensure()
    n = len(source)
    one = seconds(lambda: build(source, TWELVE, cache / "one", workers=1))
    cores = os.cpu_count() or 1
    every = seconds(lambda: build(source, TWELVE, cache / "all", workers=0))
    some = [str((root / source.files(i)[0]).with_suffix("")) for i in range(0, n, max(1, n // 200))]
    plain = seconds(lambda: [wfdb.rdrecord(name) for name in some]) / len(some)
    again = seconds(lambda: build(source, TWELVE, cache / "one"))
    print(f"preparing {n:,} records of PTB-XL, 12 leads, 100 Hz")
    print(f"  one process                {n / one:8.0f} records/s")
    print(f"  all {cores} cores                {n / every:8.0f} records/s, {n / every / cores:.0f} per core")
    print(f"  only reading, wfdb.rdrecord{1 / plain:8.0f} records/s: preparing is {plain * n / one:.1f} times as fast")
    print(f"  a second time              {again:8.2f} s")


def batches(cache: Path, root: Path | None) -> None:
    """Shuffled batches from a store in memory, beside what the data could do at best and what is usual."""
    source = PTBXL(str(root)) if root else Simulated(patients=2000, records_per_patient=1)
    store = build(source, TWELVE, cache / "one")
    windows = WindowSet(store, TWELVE, Whole().index(store, TWELVE.samples))
    memory = store.signals.clone().view(-1, 12, TWELVE.samples)
    rows = torch.randint(len(memory), (BATCH,))
    out = torch.empty(BATCH, 12, TWELVE.samples, dtype=torch.int16)
    scale = torch.rand(BATCH, 1, 1)
    normal = WindowSet(store, Preprocessing(leads=STANDARD_12, window=10.0), windows.index)
    timed: dict[str, Callable[[], object]] = {
        "index_select of int16, in memory": lambda: torch.index_select(memory, 0, rows, out=out),
        "index_select, cast and scaled": lambda: torch.index_select(memory, 0, rows).float().mul_(scale),
        "a store's batches": stream(windows),
        "a store's batches, normalised": stream(normal),
    }
    speed = {name: BATCH / best(run) for name, run in timed.items()}
    if root:
        loader = DataLoader(_Files(PTBXL(str(root))), BATCH, shuffle=True, num_workers=2)
        speed["DataLoader, 2 workers, WFDB files"] = len(loader.dataset) / seconds(lambda: list(loader))
    encoder = ResNet1d(in_channels=12, width=16)
    x = torch.randn(64, 12, TWELVE.samples)
    speed["what a ResNet1d of 0.24 M needs (forward and backward)"] = 64 / best(
        lambda: encoder(x).sum().backward(), rounds=3
    )
    print(f"shuffled batches of {BATCH}, 12 x {TWELVE.samples}, {torch.get_num_threads()} thread(s)")
    ideal = speed["index_select, cast and scaled"]
    for name, value in speed.items():
        print(f"  {name:55s}{value:10.0f} records/s, {value / ideal:6.3f} of index_select, cast and scaled")


def million(cache: Path, n: int) -> None:
    """A store of n records of 12 x 1000 whose signals are a sparse file: how long it takes to open, what it holds."""
    folder = large_store(cache / "large", n)
    before = resident()
    began = time.perf_counter()
    store = Store(folder)
    opened = time.perf_counter() - began
    module = ECGDataModule(store, TWELVE, Whole(), Whole(), BATCH)
    ready = time.perf_counter() - began
    held = resident() - before
    speed = BATCH / best(stream(module.train), rounds=20)
    print(f"a store of {n:,} records ({len(store.signals) * 2e-9:.0f} GB of int16, sparse)")
    print(f"  opened in {opened:.1f} s, ready to train in {ready:.1f} s, {held / 1e6:.0f} MB of memory for the index")
    print(f"  shuffled batches {speed:.0f} records/s; memory {(resident() - before) / 1e6:.0f} MB after 20 batches")
    print(f"  most memory this process ever had: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def from_disk(cache: Path, gigabytes: float) -> None:
    """Random batches of a file that is not in the cache, beside reading the same file from end to end."""
    n = int(gigabytes * 1e9 / 24_000)
    folder = large_store(cache / "disk", n)
    with open(folder / "signals.i16", "r+b") as file:
        block = np.random.default_rng(0).integers(-999, 999, 12_000_000, np.int16).tobytes()
        for start in range(0, n * 24_000, len(block)):
            file.seek(start)
            file.write(block[: n * 24_000 - start])
        os.fsync(file.fileno())
        forget(file.fileno())
        whole = seconds(lambda: [None for _ in iter(lambda: file.read(1 << 24), b"")], of=lambda: file.seek(0))
        forget(file.fileno())
    store = Store(folder)
    windows = WindowSet(store, TWELVE, Whole().index(store, TWELVE.samples))
    run = stream(windows)
    rounds = 30
    speed = rounds * BATCH / seconds(lambda: [run() for _ in range(rounds)])
    print(f"a file of {gigabytes:g} GB on the disk, not in the cache")
    print(f"  from end to end {n / whole:.0f} records/s ({gigabytes / whole:.2f} GB/s)")
    print(f"  shuffled batches {speed:.0f} records/s ({speed * 24e-6:.2f} GB/s), {speed * whole / n:.2f} of it")


def stream(windows: WindowSet) -> Callable[[], object]:
    """Batch after batch of shuffled epochs."""
    state = {"step": 0, "batches": iter(Batches(windows, BATCH))}

    def run() -> object:
        batch = next(state["batches"], None)
        if batch is None:
            state["batches"] = iter(Batches(windows, BATCH, seed=state["step"]))
            batch = next(state["batches"])
        state["step"] += 1
        return batch

    return run


class _Files(Dataset):
    """What is usual: an item is a file, read with wfdb when it is asked for."""

    def __init__(self, source: PTBXL) -> None:
        source.ensure()
        self.names = [str((source.root / source.files(i)[0]).with_suffix("")) for i in range(len(source))]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> torch.Tensor:
        import wfdb

        return torch.from_numpy(wfdb.rdrecord(self.names[i]).p_signal.T.astype(np.float32))


def large_store(folder: Path, n: int) -> Path:
    """The tables of a store of n records of n // 3 patients, and signals that take no space."""
    folder.mkdir(parents=True)
    small = build(Simulated(patients=24, records_per_patient=1), TWELVE, folder.parent / "small")
    rng = np.random.default_rng(0)
    number = np.arange(n)
    whose = number // 3

    def coded(codes: np.ndarray, names: list[str]) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names))

    table = {
        "offset": number * 12_000,
        "record": [f"r{i:07d}" for i in number.tolist()],
        "patient": coded(whose, [f"p{i:07d}" for i in range(int(whose[-1]) + 1)]),
        "split": coded(np.where(whose % 10 < 7, 0, np.where(whose % 10 < 8, 1, 2)), ["train", "val", "test"]),
        "labels": coded(rng.integers(len(small.classes), size=n), list(small.classes)),
        "length": np.full(n, 1000),
        "scale": np.full(n, 1e-4, np.float32),
        "source_fs": np.full(n, 100.0),
        "age": np.full(n, 60, np.float32),
        "sex": coded(number % 2, ["F", "M"]),
    }
    pq.write_table(pa.table(table), folder / "records.parquet")
    for name in ("beats.parquet", "spans.parquet"):
        pq.write_table(pq.read_table(small.path / name).slice(0, 0), folder / name)
    for name in ("store.json", "report.json"):
        shutil.copy(small.path / name, folder)
    with open(folder / "signals.i16", "wb") as file:
        file.truncate(n * 24_000)
    return folder


def forget(handle: int) -> None:
    """Ask the kernel to put a file out of its cache."""
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def resident() -> int:
    """Anonymous memory of this process in bytes: what a file's pages in the cache are no part of."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def seconds(run: Callable[[], object], of: Callable[[], object] = lambda: None) -> float:
    of()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def best(run: Callable[[], object], rounds: int = 30) -> float:
    """The median of some rounds, after a first that does not count, in s."""
    run()
    return float(np.median([seconds(run) for _ in range(rounds)]))


if __name__ == "__main__":
    main()

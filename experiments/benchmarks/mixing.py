"""What mixing several data sets costs: batches that each have windows of four stores, and batches of one store each.

    python experiments/benchmarks/mixing.py

Stores of random numbers, 90 MB in all, in windows of 10 s at 100 Hz, one lead a sample. Both load as many windows of
each store. Batches of both are taken in turn, so that a machine whose speed drifts does not favour one; beside them is
a training step of a tiny encoder, the least that a batch is loaded for. Times are those of the processor, medians.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augmentations import GaussianNoise, Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.build import build
from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.sources import Arrays
from ssl_ecg.data.windows import Sliding, WindowSet
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.leads import ANY
from ssl_ecg.methods import SimCLR
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=ANY, window=10.0)
SIZES = ((60, 12, 200), (240, 1, 60), (20, 2, 1800), (40, 12, 200))  # recordings, leads, s
BATCH, ROUNDS = 256, 400


def prepared(folder: Path) -> list[WindowSet]:
    """Store what each data set has."""
    found, rng = [], np.random.default_rng(0)
    for number, (records, leads, seconds) in enumerate(SIZES):
        root = folder / f"set{number}"
        root.mkdir()
        for i in range(records):
            np.save(root / f"{i:04}.npy", rng.normal(size=(leads, 100 * seconds)).astype(np.float32))
        source = Arrays(str(root), fs=100, leads=tuple(f"x{i}" for i in range(leads)))
        store = build(source, P, folder / "cache")
        found.append(WindowSet(store, P, Sliding(10.0).index(store, P.samples)))
    return found


def loads(windows: WindowSet | MixedWindows) -> Iterator[Tensor]:
    """Shuffled batches for ever."""
    rows = cycle(windows.order(0, 0, 0, 1, BATCH, len(windows) // BATCH).split(BATCH))
    return map(windows.load, rows)


def trainer() -> Callable[[Tensor], None]:
    """A training step of a small encoder."""
    method = SimCLR(ResNet1d(1, width=8, stages=3), Views([GaussianNoise()]))
    method.prepare(P.fs)
    optimiser, _ = method.optimiser.configure(method, 1000)

    def step(x: Tensor) -> None:
        optimiser.zero_grad()
        method.step(Batch(x, torch.arange(len(x))), 0).backward()
        optimiser.step()

    return step


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        parts = prepared(Path(folder))
        mixed, alone = loads(MixedWindows(parts, [1, 1, 1, 1])), [loads(part) for part in parts]
        times: dict[str, list[float]] = {"one": [], "four": [], "step": []}
        for _ in range(ROUNDS):
            for name, batches in (("one", alone), ("four", [mixed] * len(alone))):
                times[name].append(_seconds(lambda each: [next(some) for some in each], batches) / len(alone))
        step, x = trainer(), next(mixed)
        for _ in range(5):
            times["step"].append(_seconds(step, x))
        one, four, training = (1e3 * statistics.median(values) for values in times.values())
        print(f"loading a batch of {BATCH}: {one:.2f} ms of one store, {four:.2f} ms of four ({four / one:.2f} times)")
        print(
            f"training step: {training:,.0f} ms; mixing costs {100 * (four - one) / (training + one):.2f} % of the rate"
        )


def _seconds(run: Callable[[Any], object], on: object) -> float:
    start = time.process_time()
    run(on)
    return time.process_time() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

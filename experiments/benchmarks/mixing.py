"""What mixing several data sets costs: batches of four stores against batches of one, and a training step of each.

    python experiments/benchmarks/mixing.py

Four stores of real size in windows of 10 s at 100 Hz, one lead a sample, of random numbers. Rounds are run in turn, so
that a machine whose speed drifts does not favour one; printed are the medians, and their ratio.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from augmentations import GaussianNoise, Views
from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.sources import Arrays
from ssl_ecg.data.windows import Sliding, WindowSet
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.leads import ANY
from ssl_ecg.methods import SimCLR
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=ANY, window=10.0)
SIZES = ((60, 12, 200), (240, 1, 30), (20, 2, 1800), (40, 12, 200))  # recordings, leads, s
BATCH, BATCHES, STEPS, ROUNDS = 256, 200, 6, 9


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


def loading(windows: WindowSet | MixedWindows) -> Callable[[], float]:
    """How many windows a second are loaded."""

    def measure() -> float:
        order = windows.order(0, 0, 0, 1, BATCH, len(windows) // BATCH).split(BATCH)
        start = time.perf_counter()
        for i in range(BATCHES):
            windows.load(order[i % len(order)])
        return BATCH * BATCHES / (time.perf_counter() - start)

    return measure


def training(windows: WindowSet | MixedWindows) -> Callable[[], float]:
    """How many windows a second are trained on by a small encoder."""
    method = SimCLR(ResNet1d(1, width=16), Views([GaussianNoise()]))
    method.prepare(P.fs)
    optimiser, _ = method.optimiser.configure(method, 1000)

    def measure() -> float:
        batches = iter(Batches(windows, BATCH))
        start = time.perf_counter()
        for number in range(STEPS):
            optimiser.zero_grad()
            method.step(next(batches), number).backward()
            optimiser.step()
        return BATCH * STEPS / (time.perf_counter() - start)

    return measure


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        parts = prepared(Path(folder))
        alone, mixed = max(parts, key=len), MixedWindows(parts, [1, 1, 1, 1])
        for what, kind in (("loading", loading), ("training", training)):
            measures = [kind(alone), kind(mixed)]
            for measure in measures:
                measure()
            found = [[measure() for measure in measures] for _ in range(ROUNDS)]
            one, four = (statistics.median(values) for values in zip(*found, strict=True))
            ratio = statistics.median(b / a for a, b in found)
            print(f"{what:10}one {one:10,.0f} windows/s   four {four:10,.0f}   ratio {ratio:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

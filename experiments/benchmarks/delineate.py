"""What finding waves costs on one thread: a 10-s ECG of twelve leads, and many hours of one lead.

    python experiments/benchmarks/delineate.py ecg1-v1 --ludb data/ludb
        [--head runs/waves] [--mitdb data/mitdb --hours 24]

The long recording is records of MIT-BIH one after the other: for time and memory alone. Times are the processor's.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.data.sources import LUDB, MITBIH
from ssl_ecg.waves.find import find_waves
from ssl_ecg.waves.head import load_head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--head")
    parser.add_argument("--ludb", required=True)
    parser.add_argument("--mitdb")
    parser.add_argument("--hours", type=float, default=24.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    encoder = load_encoder(given.checkpoint)
    head, _ = load_head(given.head or shipped_head(encoder.weights, "waves"), encoder.weights)
    recording = LUDB(given.ludb, download=False).read(0)
    times = []
    for _ in range(31):
        start = time.process_time()
        find_waves(encoder, head, recording.signal, recording.fs)
        times.append(time.process_time() - start)
    typical, least = (1000 * of(times[1:]) for of in (statistics.median, min))
    print(f"10 s of {len(recording.leads)} leads: {typical:.0f} ms, {least:.0f} at least")
    if given.mitdb is None:
        return
    source, parts, seconds = MITBIH(str(Path(given.mitdb)), download=False), [], 0.0
    while seconds < 3600 * given.hours:
        for tape in source.recordings():
            parts.append(tape.signal[0])
            seconds += len(parts[-1]) / tape.fs
            if seconds >= 3600 * given.hours:
                break
    long = np.concatenate(parts)[None, : round(3600 * given.hours * tape.fs)]
    start = time.process_time()
    (found,) = find_waves(encoder, head, long, tape.fs)
    took, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    beats = int((found.labels == "QRS").sum())
    print(f"{given.hours:g} h of one lead: {took:.0f} s, {beats:,} QRS complexes, {peak:.1f} GB at most")


if __name__ == "__main__":
    main()

"""Beats in their context against a window cut and encoded for each: how much faster, and how different.

    python experiments/benchmarks/at.py ../shared/data/mitdb [CHECKPOINT]

Without a checkpoint, a ResNet1d with random weights. Every beat of some records of MIT-BIH is embedded by
`PretrainedEncoder.at`, which encodes a record once, and by cutting the ten seconds around it. The difference is that of
pooling the same tokens, as a share of the embeddings' spread: none where the normalisation is the same and the beat
falls on the token grid.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import wfdb

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.long import embed_at
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.preprocessing import Preprocessing

RECORDS = ("100", "119", "208", "232")


def main(folder: str, checkpoint: str | None = None) -> None:
    torch.manual_seed(0)
    fresh = ResNet1d(2, width=32)
    fresh(torch.randn(64, 2, 1000))
    given = load_encoder(checkpoint) if checkpoint else PretrainedEncoder(fresh, Preprocessing(leads=("II", "V1")))
    encoder, step, fs = given.encoder, given.encoder.stride, given.preprocessing.fs
    half = round(5 * fs) // step * step  # windows begin on the token grid
    print(f"{'normalised by':14} {'beats':>6} {'windows':>9} {'at':>7} {'ratio':>6} {'on grid':>9} {'between':>9}")
    for normalise in ("none", "record", "window"):
        p = replace(given.preprocessing, normalise=normalise, window=10)
        seconds, spans, beats = np.zeros(2), [], 0
        for record in RECORDS:
            read = wfdb.rdrecord(str(Path(folder) / record))
            signal = read.p_signal.T.astype(np.float32)
            if not {"MLII", "V1"} <= set(read.sig_name):
                read.sig_name = ["MLII", "V1"]  # another chest lead serves to time
            peaks = wfdb.rdann(str(Path(folder) / record), "atr").sample * (fs / read.fs)
            clean = torch.from_numpy(p.condition(signal, read.fs, read.sig_name))
            peaks = torch.from_numpy(peaks[(peaks > half + step) & (peaks < clean.shape[-1] - half - step)]).round()
            start = time.perf_counter()
            at = embed_at(encoder, p.normalise_record(clean), peaks, fs)
            middle = time.perf_counter()
            for some in peaks.long().split(256):
                windows = torch.stack([clean[:, peak - half : peak + half] for peak in some.tolist()])
                with torch.inference_mode():
                    encoder(p.normalise_windows(windows))
            seconds += [time.perf_counter() - middle, middle - start]
            beats += len(peaks)
            some, spread = peaks[:: max(1, len(peaks) // 100)].long(), (at - at.mean(0)).norm(dim=1).mean()
            for where in (some // step * step, some):
                cut = [
                    embed_at(
                        encoder, p.normalise_windows(clean[None, :, x - half : x + half])[0], torch.tensor([half]), fs
                    )
                    for x in where.tolist()
                ]
                found = embed_at(encoder, p.normalise_record(clean), where, fs)
                spans.append(float((found - torch.cat(cut)).norm(dim=1).mean() / spread))
        off = np.array(spans).reshape(-1, 2).mean(0)
        print(
            f"{normalise:14} {beats:6} {seconds[0]:7.1f} s {seconds[1]:5.2f} s {seconds[0] / seconds[1]:6.1f} "
            f"{off[0]:9.2g} {off[1]:9.2g}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How much of the encoder's own speed is left when a data set is embedded: windows gathered, normalised, kept, written.

    python experiments/benchmarks/embed.py runs/simclr-ptbxl --data PTBXL --data.root ../shared/data/ptb-xl

Takes the options of `python -m ssl_ecg.embed`. The forward pass alone, on a batch already in memory, is timed in turn
with the whole, so that a machine whose speed drifts does not favour one; printed are the medians and their ratio.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch

from ssl_ecg import cli, load_encoder
from ssl_ecg.embed import Embed, write_embeddings
from ssl_ecg.embed.command import embed_windows, forget

ROUNDS, SECONDS = 7, 4.0  # a round, by going through a small data set several times


def main() -> None:
    command = Embed(**cli.parse(Embed).instantiate())
    encoder = load_encoder(command.checkpoint)
    size = command.batch_size
    everything = command.cut_windows(encoder)
    batch = everything.load(torch.arange(size) % len(everything))
    start = time.perf_counter()
    with torch.inference_mode():
        encoder.encoder(batch), encoder.encoder(batch)
    batches = max(1, round(2 * SECONDS / (time.perf_counter() - start)))
    windows = everything[torch.arange(batches * size) % len(everything)]
    about = {"classes": list(everything.store.classes)}

    def forward() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(len(windows) // size):
                encoder.encoder(batch)
        return time.perf_counter() - start

    def whole(folder: Path) -> float:
        start = time.perf_counter()
        found = embed_windows(encoder, windows, folder / "parts", about, batch_size=size)
        write_embeddings(found, folder / "out.parquet")
        forget(folder / "parts")
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        forward(), whole(Path(folder))
        timed = [(forward(), whole(Path(folder))) for _ in range(ROUNDS)]
    alone, all_of_it = (statistics.median(column) for column in zip(*timed, strict=True))
    ratio = statistics.median(a / b for a, b in timed)
    print(f"windows of {tuple(batch.shape[1:])}, batches of {size}, {torch.get_num_threads()} threads")
    print(f"forward pass alone  {len(windows) / alone:8,.0f} windows/s")
    print(f"python -m ssl_ecg.embed {len(windows) / all_of_it:4,.0f} windows/s, {ratio:.1%} of it")


if __name__ == "__main__":
    main()

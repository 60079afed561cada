"""What every encoder costs: parameters, FLOPs, bytes, what a token sees, and windows a second on one thread.

    python experiments/benchmarks/encoders.py [--out FOLDER] [--only XResNet1d] [--probe ../shared/data/ptb-xl]

Each encoder has its default size and others, one of about 300 k parameters among them; windows are 12 leads x 1000
samples, 16 a batch, and 1 x 300, 64 a batch. Training is forward and backward, without an optimiser. "x" is how many
times longer it takes than its FLOPs would at the rate of a dense convolution (128 channels, kernel 7, channels last)
that is timed in the same rounds, forward or forward and backward. Times are the processor's, medians of rounds in
random order. FLOPs are torch's count, two a multiplication and addition, without pooling, normalisation and
activations; backward has twice those of forward.

The last two rows are two-dimensional ResNets on spectrograms of the same windows (spectrogram.py).

--probe trains one- and two-dimensional ResNets with all labels from random weights, for the same epochs, on
PTB-XL's folds 1-8, and gives the macro AUROC of the five superclasses on fold 9, means over seeds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d
from torch.utils.flop_counter import FlopCounterMode

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from augment_timing import Row, keep_memory, machine, measure, write
from spectrogram import SpectrogramResNet

from ssl_ecg import encoders
from ssl_ecg.encoders import Encoder

SIZES: dict[str, list[dict[str, Any]]] = {
    "ResNet1d": [{}, {"width": 18}],
    "XResNet1d": [{}, {"depth": 50}, {"depth": 18}],
    "InceptionTime": [{}, {"width": 24}, {"width": 24, "shrink": 8}],
    "MobileNet1d": [{}, {"width": 32}],
    "ConvNeXt1d": [{}, {"width": 16, "depths": (1, 1, 3, 1)}],
    "ConvGRU": [{}, {"width": 96, "context": 256}],
    "ConvS4D": [{}],
    "SpectrogramResNet": [{"width": 16}, {"width": 64, "depth": 2}],
}
SHAPES = {"12 x 1000": (16, 12, 1000), "1 x 300": (64, 1, 300)}
DENSE = (16, 128, 1, 250)


def made(name: str, settings: dict[str, Any], leads: int) -> Encoder:
    torch.manual_seed(0)
    kind: Callable[..., Encoder] = SpectrogramResNet if name == "SpectrogramResNet" else getattr(encoders, name)
    return kind(leads, **settings)


def embed(encoder: Encoder, x: Tensor) -> None:
    with torch.inference_mode():
        encoder.eval()(x)


def train(encoder: Encoder, x: Tensor) -> None:
    encoder.zero_grad()
    encoder.train()(x).square().sum().backward()


def flops(step: Callable[[], None]) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def dense() -> dict[str, Callable[[], None]]:
    """A convolution as fast as they get, forward, and forward and backward."""
    x = torch.randn(DENSE).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(128, 128, 1, 7, requires_grad=True)

    def forward() -> None:
        with torch.inference_mode():
            conv2d(x, weight, padding=(0, 3))

    def both() -> None:
        conv2d(x, weight, padding=(0, 3)).square().sum().backward()

    return {"embed": forward, "train": both}


def cost(name: str, settings: dict[str, Any], repeats: int, budget: float) -> list[Row]:
    """Everything about one encoder of one size, a row for each shape of window."""
    rows: list[Row] = []
    dense_flops = 2 * 128 * 128 * 7 * DENSE[0] * DENSE[3]
    for shape, (batch, leads, length) in SHAPES.items():
        encoder, x = made(name, settings, leads), torch.randn(batch, leads, length)
        parameters = sum(p.numel() for p in encoder.parameters())
        row: Row = {"encoder": " ".join([name, *(f"{key}={value}" for key, value in settings.items())])}
        row |= {"window": shape, "parameters": parameters, "kB": 4 * parameters / 1e3, "stride": encoder.stride}
        row |= {
            "sees": encoder.receptive_field if math.isfinite(encoder.receptive_field) else "all",
            "causal": encoder.causal,
        }
        cases = {"embed": partial(embed, encoder, x), "train": partial(train, encoder, x)}
        forward = flops(cases["embed"])
        row["MFLOP"] = forward / batch / 1e6
        spent = measure(cases | {f"dense {what}": case for what, case in dense().items()}, 1, repeats, budget)
        for what in cases:
            row[f"{what}/s"] = batch / spent[what]
            row[f"{what} x"] = spent[what] / spent[f"dense {what}"] * dense_flops / forward
        rows.append(row)
    return rows


def probe(root: str, epochs: int, seeds: int) -> list[Row]:
    """Train with all labels, from random weights: macro AUROC on fold 9."""
    from ssl_ecg.data.build import build
    from ssl_ecg.data.sources.ptbxl import PTBXL
    from ssl_ecg.data.windows import Whole, WindowSet
    from ssl_ecg.leads import STANDARD_12
    from ssl_ecg.metrics.scores import auroc
    from ssl_ecg.preprocessing import Preprocessing

    preprocessing = Preprocessing(leads=STANDARD_12, window=10)
    store = build(PTBXL(root, download=False), preprocessing)
    windows = WindowSet(store, preprocessing, Whole().index(store, preprocessing.samples))
    sides = {}
    for side in ("train", "val"):
        some = windows.where((windows.split == side) & windows.targets.any(1))
        sides[side] = torch.cat(list(some.batches())), torch.from_numpy(some.targets).float()
    (x, y), (unseen, truth) = sides["train"], sides["val"]
    rows = []
    for name, settings in (("ResNet1d", {"width": 18}), ("SpectrogramResNet", {"width": 16})):
        found, began = [], time.process_time()
        for seed in range(seeds):
            encoder = made(name, settings, 12)
            torch.manual_seed(seed)
            net = nn.Sequential(encoder, nn.Linear(encoder.dim, y.shape[1]))
            optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
            steps = epochs * -(-len(x) // 32)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
            for _ in range(epochs):
                for rows_of_batch in torch.randperm(len(x)).split(32):
                    optimiser.zero_grad()
                    binary_cross_entropy_with_logits(net(x[rows_of_batch]), y[rows_of_batch]).backward()
                    optimiser.step()
                    schedule.step()
            with torch.inference_mode():
                scores = torch.cat([net.eval()(part) for part in unseen.split(256)]).numpy()
            found.append(float(np.mean([auroc(truth[:, k].numpy() > 0, scores[:, k]) for k in range(y.shape[1])])))
        row: Row = {"encoder": name, "parameters": sum(p.numel() for p in encoder.parameters())}
        row |= {"MFLOP": flops(partial(embed, encoder, x[:16])) / 16e6, "epochs": epochs, "records": len(x)}
        row |= {"seconds a run": (time.process_time() - began) / seeds, "AUROC": statistics.mean(found)}
        row["of seeds"] = [round(each, 3) for each in found]
        rows.append(row)
    return rows


def show(rows: list[Row], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("encoder", "window") else "right", no_wrap=name == "encoder")
    for row in rows:
        table.add_row(*map(readable, row.values()))
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def readable(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if type(value) is int else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES), help="these classes alone")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds one case may take in all its rounds")
    parser.add_argument("--probe", metavar="ROOT", help="folder of PTB-XL: also train both ResNets on it")
    parser.add_argument("--epochs", type=int, default=5, help="of --probe")
    parser.add_argument("--seeds", type=int, default=1, help="of --probe")
    parser.add_argument("--out", help="a folder for the table as CSV and JSON")
    args = parser.parse_args()
    missing = set(encoders.__all__) - {"Encoder"} - set(SIZES)
    assert not missing, f"no sizes for {missing}"

    keep_memory()
    torch.set_num_threads(1)
    about = {"settings": vars(args), "machine": machine()}
    rows = [row for name in args.only for size in SIZES[name] for row in cost(name, size, args.repeats, args.budget)]
    show(rows, ", ".join(f"{key} {value}" for key, value in about["machine"].items()))
    if args.probe:
        about["probe"] = probe(args.probe, args.epochs, args.seeds)
        show(about["probe"], "supervised from random weights, PTB-XL, superclasses, fold 9")
    about["load at the end"] = machine()["load"]
    print(f"load at the end: {about['load at the end']}")
    if args.out:
        write(args.out, "encoders", rows, about)


if __name__ == "__main__":
    main()

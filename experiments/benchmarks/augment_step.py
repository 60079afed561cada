"""What the views cost beside the training step they feed: the target is less than 10 % of it.

    python experiments/benchmarks/augment_step.py

The step is SimCLR's as `ssl_ecg.pretrain` runs it: both views through a ResNet1d of about 1 M parameters, the loss,
the gradients, the optimiser. Steps and policies are timed in turn, by the clock, and the medians compared; the share
is the time of a policy (both views) over the time of a step without it.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from augment_cases import five, policies
from augment_timing import Row, keep_memory, machine, measure, signals, table, write

from augmentations import Views
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.methods import SimCLR

COLUMNS = {"name": "{}", "ms": "{:,.1f}", "share of a step, %": "{:.2f}", "below 10 %": "{}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--leads", type=int, default=12)
    parser.add_argument("--length", type=int, default=1000, help="samples in time")
    parser.add_argument("--fs", type=float, default=250.0, help="sampling rate, Hz")
    parser.add_argument("--width", type=int, default=32, help="of the encoder; 32 has about 1 M parameters")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15, help="rounds; the median counts")
    parser.add_argument("--out", help="a folder for the table as CSV and JSON")
    args = parser.parse_args()

    keep_memory()
    torch.manual_seed(0)
    x = signals(args.batch, args.leads, args.length, args.fs)
    method = SimCLR(ResNet1d(args.leads, args.width), Views([]))
    optimiser, _ = method.optimiser.configure(method, 1000)
    views, patient = [x.clone(), x.clone()], torch.arange(len(x))

    def step() -> None:
        optimiser.zero_grad()
        method.compare(views, patient).backward()
        optimiser.step()

    made = {**policies(), "two views of five, p = 0.5": Views(five(0.5)), "two views of five, p = 1": Views(five(1.0))}
    cases = {"a training step": step} | {name: partial(policy, x, args.fs) for name, policy in made.items()}
    about = {"settings": vars(args), "machine": machine()}
    spent = measure(cases, args.threads, args.repeats)
    about["parameters"] = sum(parameter.numel() for parameter in method.encoder.parameters())
    about["load at the end"] = machine()["load"]

    print(f"{args.batch} x {args.leads} x {args.length} float32, {args.threads} thread(s), ", end="")
    print(f"ResNet1d of width {args.width} with {about['parameters']:,} parameters, medians of {args.repeats} rounds")
    print(f"{', '.join(f'{key} {value}' for key, value in about['machine'].items())}")
    rows: list[Row] = []
    for name, seconds in spent.items():
        row: Row = {"name": name, "ms": 1e3 * seconds}
        if name in made:
            share = 100 * seconds / spent["a training step"]
            row |= {"share of a step, %": share, "below 10 %": "yes" if share < 10 else "no"}
        rows.append(row)
    print(table(rows, COLUMNS))
    print(f"{2 * args.batch / spent['a training step']:,.0f} views/s through the encoder, forward and backward;")
    print(f"load at the end: {about['load at the end']}")
    if args.out:
        write(args.out, "augment_step", rows, about)


if __name__ == "__main__":
    main()

"""How many records a second each augmentation changes, beside a plain copy of the batch and beside other libraries.

    python experiments/benchmarks/augment.py --threads 1 2
    python experiments/benchmarks/augment.py --rivals

The first measures every augmentation that the package exports (each changes every record, p = 1), the composition of
five that SimCLR for ECG commonly uses, and the policies, which make two views: a record of theirs is two. Costs are in
copies of the batch, the memory's floor, beside the project's target; a target in brackets is that of the nearest
kind, where none was named. `augment_step.py` measures the policies as a share of a training step.

A copy is not one number. Where memory is *reused*, the result lies where an earlier one lay: reading and writing is all
there is, in part from a large cache. On *fresh* pages the kernel maps and clears every page of the result first, which
costs several times the copy itself. Which of the two a process sees is up to glibc and to what it freed before. One
that trains a network has freed big blocks and reuses memory, so that is what is measured here, and the ratios are to
that copy: the strictest unit, for no page fault is in it. With `--memory fresh` everything is measured on fresh pages;
operations are slower then and their ratios better, since the copy has the faults too. Otherwise the copy on fresh
pages is measured at the end, to compare with numbers from elsewhere (the project's targets were set in copies of 10
GB/s, reading and writing, which lies between the two). Cases run in turn, in random order: what lies in the cache
is no case's own choice.

The other libraries need an environment of their own, beside this project's requirements:

    pip install . ecg-augmentations ecgmentations opencv-python-headless tsaug audiomentations torch_ecg braindecode
    pip install neurokit2  # finds the R peaks for the masks of ecg-augmentations

Some name older releases of pandas or soxr than this project uses; `pip install --no-deps` and then what an import says
is missing gets them running. What cannot be imported is listed as absent, with the reason.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from augment_cases import NEAREST, compositions, exported, policies, target
from augment_timing import Row, fresh_copy, fresh_memory, keep_memory, machine, measure, signals, table, write

COLUMNS = {
    "name": "{}",
    "records/s": "{:,.0f}",
    "ms": "{:.2f}",
    "copies": "{:.1f}",
    "target": "{}",
    "reached": "{}",
}
COPY = "a copy of the batch"


def own(x: torch.Tensor, args: argparse.Namespace, threads: int) -> list[Row]:
    """Measures everything of this package with one number of threads."""
    cases: dict[str, Callable[[], object]] = {COPY: x.clone}
    groups = [exported(), compositions(), policies()]
    for group in groups:
        cases |= {name: partial(augment, x, args.fs) for name, augment in group.items()}
    spent = measure(cases, threads, args.repeats, often=COPY)
    rows = []
    for name, seconds in spent.items():
        copies, aim = seconds / spent[COPY], target(name)
        row: Row = {"name": name, "threads": threads, "records/s": round(len(x) / seconds), "ms": 1e3 * seconds}
        row["copies"] = copies
        if aim is not None:
            row["target"] = f"({aim:g})" if name in NEAREST.split() else f"{aim:g}"
            row["reached"] = "yes" if copies <= aim else "no"
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--leads", type=int, default=12)
    parser.add_argument("--length", type=int, default=1000, help="samples in time")
    parser.add_argument("--fs", type=float, default=250.0, help="sampling rate, Hz")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=30, help="rounds; the median counts")
    parser.add_argument("--memory", choices=["reused", "fresh"], default="reused", help="see above")
    parser.add_argument("--rivals", action="store_true", help="measure beside other libraries instead")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for one operation of a rival, about")
    parser.add_argument("--out", help="a folder for the tables as CSV and JSON, and the figure of --rivals")
    args = parser.parse_args()

    if args.memory == "reused":
        keep_memory()
    elif not fresh_memory():
        parser.error("--memory fresh needs glibc's malloc")
    x = signals(args.batch, args.leads, args.length, args.fs)
    about = {"settings": vars(args), "machine": machine()}
    print(f"{args.batch} x {args.leads} x {args.length} float32 at {args.fs:g} Hz, memory {args.memory}, medians of")
    print(f"{args.repeats} rounds; {', '.join(f'{key} {value}' for key, value in about['machine'].items())}")

    rows: list[Row] = []
    for threads in args.threads:
        if args.rivals:
            from rivals import compare

            more, absent = compare(x, args.fs, threads, args.repeats, args.budget)
            about["absent"] = absent
        else:
            more = own(x, args, threads)
            print(f"\n{threads} thread(s)\n{table(more, COLUMNS)}")
            missed = [
                f"{row['name']} {row['copies']:.1f} > {row['target']}" for row in more if row.get("reached") == "no"
            ]
            print(f"missed: {'; '.join(missed) or 'none'}")
        rows += more
    if not args.rivals and args.memory == "reused":
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            seconds = process.submit(fresh_copy, tuple(x.shape), args.repeats).result()
        if seconds is not None:
            about["copy to fresh pages, one thread, ms"] = 1e3 * seconds
            print(f"\na copy to fresh pages, one thread: {len(x) / seconds:,.0f} records/s, {1e3 * seconds:.2f} ms")
    about["load at the end"] = machine()["load"]
    print(f"load at the end: {about['load at the end']}")
    if args.out:
        write(args.out, "rivals" if args.rivals else "augment", rows, about)
        if args.rivals:
            from augment_figure import speeds

            one = [row for row in rows if row["threads"] == args.threads[0]]
            speeds(one, Path(args.out) / "rivals.png", "Augmentations of ECG: how fast each library is")


if __name__ == "__main__":
    main()

"""How many records a second each augmentation changes, beside a plain copy of the batch: the memory's floor.

Run it as `python experiments/benchmarks/augmentations.py`. Every augmentation changes every record (p = 1), but for
the last two rows. With one thread the clock is the processor's time, which other jobs on the machine disturb little.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path[0] = str(Path(__file__).parents[2])  # not this folder: there, this file has the package's name

from augmentations import (
    AmplitudeScale,
    Augmentation,
    BaselineWander,
    Compose,
    CropResize,
    GaussianNoise,
    Powerline,
    TimeMask,
    TimeWarp,
    Views,
)


class Copy(Augmentation):
    """The least work that makes a new batch."""

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Copies; see `Augmentation.apply`."""
        return x.clone()


def five(p: float) -> list[Augmentation]:
    """What a SimCLR for ECG commonly uses."""
    return [CropResize(p=p), AmplitudeScale(p=p), BaselineWander(p=p), GaussianNoise(p=p), TimeMask(p=p)]


def main() -> None:
    """Measure and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--leads", type=int, default=12)
    parser.add_argument("--length", type=int, default=1000, help="samples in time")
    parser.add_argument("--fs", type=float, default=250.0, help="sampling rate, Hz")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50, help="the median counts")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    # glibc hands freed memory back to the system, to fault it in again, until it has seen a block of 32 MiB: a process
    # that trains a network has.
    torch.empty(31 * 2**20, dtype=torch.uint8)

    x = torch.randn(args.batch, args.leads, args.length)
    measured: dict[str, Augmentation | Views] = {"a copy of the batch": Copy(p=1)}
    for kind in (BaselineWander, GaussianNoise, Powerline, AmplitudeScale, TimeWarp, CropResize, TimeMask):
        measured[kind.__name__] = kind(p=1)
    measured["five in a row"] = Compose(five(p=1))
    measured["five in a row, p = 0.5"] = Compose(five(p=0.5))
    measured["two views of these, p = 0.5"] = Views(five(p=0.5))

    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(args.repeats):  # round by round, so that what disturbs one disturbs all
        for name, augment in measured.items():
            began = clock()
            augment(x, args.fs)
            times[name].append(clock() - began)

    print(f"{args.batch} x {args.leads} x {args.length} float32, {args.threads} thread(s), torch {torch.__version__}")
    print(f"{'':30}{'records/s':>12}{'ms':>8}{'copies':>8}")
    spent = {name: median(values) for name, values in times.items()}
    for name, seconds in spent.items():
        copies = seconds / spent["a copy of the batch"]
        print(f"{name:30}{args.batch / seconds:12,.0f}{1e3 * seconds:8.2f}{copies:8.1f}")


if __name__ == "__main__":
    main()

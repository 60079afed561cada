"""What a GPU makes of pretraining: windows a second, share of its peak, and what data and augmentation cost.

    python experiments/benchmarks/gpu.py
    python experiments/benchmarks/gpu.py --batch 8 --scale .125 --steps 2    # anywhere, to see that it runs

SimCLR on `ResNet1d` and CPC on `ConvGRU` (it needs a causal context), of about 1 and 10 million parameters, 12 leads of
10 s at 100 Hz, bf16, compiled and not.
"alone" is encoder and loss with their optimiser, on views that lie on the device; the windows a second are of a whole
step, which reads a batch from the store and augments it. The goal: that takes less than 10 % of a step. The peak is
measured: the product of two square matrices in the same precision. FLOPs are torch's count, forward and backward.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import product

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from augmentations import physiological
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import SameWindow
from ssl_ecg.data.sources import Simulated
from ssl_ecg.data.windows import Whole
from ssl_ecg.encoders import ConvGRU, ResNet1d
from ssl_ecg.errors import UserError
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.methods import CPC, Method, SimCLR
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.training.fit import compiled

METHODS: dict[str, Callable[[float], Method]] = {  # by how much wider the encoder is than that of 1 M parameters
    "SimCLR": lambda scale: SimCLR(ResNet1d(12, width=round(32 * scale)), physiological()),
    "CPC": lambda scale: CPC(ConvGRU(12, width=round(80 * scale), context=round(376 * scale))),
}


def best_device() -> tuple[torch.device, torch.dtype | None]:
    """The device and the precision of its forward pass; says what it falls back to."""
    if torch.cuda.is_available():
        print(f"on {torch.cuda.get_device_name()}, bf16")
        return torch.device("cuda"), torch.bfloat16
    if torch.backends.mps.is_available():
        print("no NVIDIA or AMD GPU here: on Apple's (mps), 32 bits")
        return torch.device("mps"), None
    print(f"no GPU here: on {torch.get_num_threads()} threads of the CPU, 32 bits; these numbers are no GPU's")
    return torch.device("cpu"), None


def seconds(step: Callable[[], object], steps: int, device: torch.device) -> float:
    """The median time of a step, after two to warm up."""
    found = []
    for number in range(steps + 2):
        start = time.perf_counter()
        step()
        if device.type in ("cuda", "mps"):
            getattr(torch, device.type).synchronize()
        found += [time.perf_counter() - start] if number > 1 else []
    return statistics.median(found)


def peak(device: torch.device, dtype: torch.dtype | None, steps: int) -> float:
    """FLOPs a second of the product of two square matrices."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, n, n, device=device, dtype=dtype or torch.float32)
    return 2 * n**3 / seconds(lambda: a @ b, steps, device)


def forever(data: ECGDataModule) -> Iterator[Batch]:
    """The batches of one epoch after the other."""
    while True:
        yield from data.batches()


def measure(
    method: Method, data: ECGDataModule, device: torch.device, dtype: torch.dtype | None, steps: int
) -> tuple[float, float, int]:
    """Seconds of a step alone and whole, and the FLOPs of one alone."""
    method.to(device).train()
    method.prepare(data.preprocessing.fs)
    optimiser, _ = method.optimiser.configure(method, 10_000)
    batches = forever(data)
    fixed = next(batches)
    fixed = fixed._replace(x=fixed.x.to(device), patient=fixed.patient.to(device))
    views = method.looks(fixed.x, method.draws(0, device=device))

    def learn(loss: Callable[[], Tensor]) -> None:
        optimiser.zero_grad()
        with torch.autocast(device.type, dtype) if dtype else nullcontext():
            found = loss()
        found.backward()
        optimiser.step()

    def alone() -> None:
        if isinstance(method, SimCLR):
            learn(lambda: method.compare(views, fixed.patient))
        else:
            learn(lambda: method.loss(fixed, method.draws(0, device=device)))

    def whole() -> None:
        batch = next(batches)
        batch = batch._replace(x=batch.x.to(device), patient=batch.patient.to(device))
        learn(lambda: method.step(batch, 1))

    spent = [seconds(step, steps, device) for step in (alone, whole)]
    with FlopCounterMode(display=False) as counter:
        alone()
    return spent[0], spent[1], counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--scale", type=float, nargs="+", default=[1, 3.2], help="of the width: 1 and 10 M parameters")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", type=int, nargs="+", default=[0, 1], help="0 as it is, 1 compiled")
    parser.add_argument("--cache", help="folder of prepared data")
    given = parser.parse_args()
    device, dtype = best_device()
    top = peak(device, dtype, given.steps)
    print(f"peak of a matrix product {top / 1e12:.2f} TFLOP/s\n")
    preprocessing = Preprocessing(fs=100, leads=STANDARD_12, window=10)
    patients = math.ceil(max(given.batch) / 2)  # four recordings of each, some held out
    store = build(Simulated(patients=max(40, patients)), preprocessing, given.cache)
    print("| method | parameters | batch | compiled | windows/s | alone | data and views | of the peak |")
    print("|---|---|---|---|---|---|---|---|")
    for name, scale, size, compile_ in product(METHODS, given.scale, given.batch, given.compile):
        torch.manual_seed(0)
        data = ECGDataModule([store], preprocessing, Whole(), Whole(), size, 0, 0.2, 0, SameWindow(), None)
        data.train.to(device)
        method = METHODS[name](scale)
        parameters = sum(p.numel() for p in method.encoder.parameters())
        try:
            with compiled(method.encoder) if compile_ else nullcontext():
                alone, whole, flops = measure(method, data, device, dtype, given.steps)
        except (torch.OutOfMemoryError, UserError) as error:
            found = f"{str(error).splitlines()[0]} | | | "
        else:
            share = flops / alone / top if flops and not compile_ else math.nan
            found = f"{size / whole:,.0f} | {size / alone:,.0f} | {1 - alone / whole:.1%} | {share:.1%}"
        print(f"| {name} | {parameters:,} | {size} | {'yes' if compile_ else 'no'} | {found} |", flush=True)


if __name__ == "__main__":
    main()

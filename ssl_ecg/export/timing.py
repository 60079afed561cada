"""What an exported encoder takes on this machine: time of one window on one thread, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RUNS = 1000

# In a process of its own, with nothing but what a device has: its peak memory is the export's.
_SCRIPT = """
import json, re, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
x = np.random.default_rng(0).normal(size=(1, int(sys.argv[2]), int(sys.argv[3]))).astype(np.float32)
took = []
for run in range(int(sys.argv[4]) + 20):
    start = time.perf_counter()
    session.run(None, {"signal": x})
    took.append(time.perf_counter() - start)
print(json.dumps([*np.percentile(took[20:], [50, 99]).tolist(), peak(), peak() - before]))
"""


@dataclass(frozen=True)
class Timing:
    """One window, one thread.

    Attributes:
        kilobytes: of the file.
        median: of the runs, ms.
        p99: their 99th percentile, ms.
        peak: memory of the whole process, MB.
        added: what the model added to Python, NumPy and ONNX Runtime, MB.
    """

    kilobytes: float
    median: float
    p99: float
    peak: float
    added: float


def measure(path: Path, channels: int, samples: int, runs: int = RUNS) -> Timing:
    """Run an ONNX file on a window (1, C, T) of noise in a process of its own."""
    given = [str(path), str(channels), str(samples), str(runs)]
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *given], capture_output=True, text=True, check=True)
    median, p99, peak, added = json.loads(done.stdout)
    return Timing(path.stat().st_size / 1000, 1000 * median, 1000 * p99, peak, added)

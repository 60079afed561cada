"""The benchmark of a GPU runs anywhere, and says what it fell back to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_without_one(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "benchmarks" / "gpu.py"
    given = ["--batch=8", "--scale=.125", "--steps=2", "--compile=0", f"--cache={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, script, *given], env=environment, capture_output=True, text=True, check=True, timeout=900
    )
    assert re.match(r"no GPU here: on \d+ threads of the CPU, 32 bits", done.stdout)
    rows = re.findall(r"^\| (SimCLR|CPC) \| [\d,]+ \| 8 \| no \|.* \| [\d.]+%+ \|$", done.stdout, re.MULTILINE)
    assert rows == ["SimCLR", "CPC"]

"""The tables of experiments/results come out of the committed predictions; one changed number is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import probe
from ssl_ecg.preprocessing import Preprocessing

SCRIPT = Path(__file__).parents[2] / "experiments" / "results" / "recompute.py"


def recomputed(*folders: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *folders], capture_output=True, text=True, check=False)


def test_a_number_that_does_not_come_out_is_found(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=5.0))
    size = ["--data.patients=40", "--data.records_per_patient=1"]
    given = [str(checkpoint), "--data=Simulated", *size, f"--cache={tmp_path}/cache", "--resamples=20"]
    probe.main([*given, "--beside=untrained", f"--out={tmp_path}/found"])
    assert recomputed(tmp_path / "found").returncode == 0
    changed = shutil.copytree(tmp_path / "found", tmp_path / "changed") / "results.csv"
    lines = changed.read_text().splitlines()
    value = lines[0].split(",").index("value")
    cells = lines[1].split(",")
    cells[value] = str(float(cells[value]) + 0.001)
    changed.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    found = recomputed(changed.parent)
    assert found.returncode == 1 and "NOT as written" in found.stdout


def test_the_committed_tables_come_out() -> None:
    if not [*SCRIPT.parent.glob("*/**/predictions.parquet")]:
        pytest.skip("no predictions are committed yet")
    found = recomputed()
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]

"""The tables of experiments/results come out of the committed predictions; one changed number is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from checkpoints import fresh_checkpoint
from scipy.special import softmax

from ssl_ecg import probe
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study.odds import MANY, as_kept, log_odds

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


def committed(many: bool) -> list[Path]:
    """Folders of results with predictions of many samples, or of few."""
    found = sorted(SCRIPT.parent.glob("*/**/predictions.parquet"))
    return [path.parent for path in found if (pq.read_metadata(path).num_rows > MANY) == many]


@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_committed_tables_come_out(many: bool) -> None:
    found = recomputed(*committed(many))
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]


def test_probabilities_of_many_samples_are_kept_so_that_they_score_the_same() -> None:
    rng = np.random.default_rng(0)
    p = softmax(rng.normal(scale=6, size=(MANY + 1, 4)), axis=1)
    kept = as_kept(p)
    assert log_odds(p).dtype == np.float16 and np.array_equal(as_kept(kept), kept)
    assert np.abs(kept - p).max() < 0.001 and np.array_equal(as_kept(p[:100]), p[:100])

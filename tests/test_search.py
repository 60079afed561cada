"""One file of hyper-parameters, two ways: the command that W&B's agent would run, and a search without its server."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("optuna")

ROOT = Path(__file__).parents[1]
FILE = ROOT / "experiments" / "search" / "pretrain.yaml"


def test_the_command_is_the_one_that_the_agent_of_wandb_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    monkeypatch.syspath_prepend(ROOT / "experiments")
    import search

    sweep = yaml.safe_load(FILE.read_text())
    values = {"method.temperature": 0.2, "method.encoder.width": 8, "trainer.max_epochs": 6}
    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})["args"]
    wanted = [w for part in create_sweep_command(sweep["command"]) for w in (args if part == "${args}" else [part])]
    assert search.command_line(sweep, values) == wanted


@pytest.mark.slow
def test_a_search_of_two_at_once_ends_with_a_table_and_figures(tmp_path: Path) -> None:
    sweep = yaml.safe_load(FILE.read_text())
    tiny = {"data.patients": 60, "batch_size": 8, "method.encoder.stages": 2, "trainer.accelerator": "cpu"}
    sweep["parameters"] |= {name: {"value": value} for name, value in tiny.items()} | {
        "method.encoder.width": {"values": [4, 6]},
        "trainer.max_epochs": {"value": 2},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(sweep))
    command = [sys.executable, ROOT / "experiments" / "search.py", tmp_path / "tiny.yaml", f"--out={tmp_path}/out"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    environment["SSL_ECG_CACHE"] = str(tmp_path / "cache")
    for trials, jobs in ((3, 2), (1, 1)):  # the second goes on with the first's journal
        subprocess.run([*command, f"--trials={trials}", f"--jobs={jobs}"], env=environment, check=True, timeout=600)
    with (tmp_path / "out" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {row["state"] for row in rows} <= {"complete", "pruned"}
    for row in rows:
        assert (tmp_path / "out" / row["run"] / "metrics.csv").exists()
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        *("parallel_coordinate.png", "param_importances.png")
    }

"""One file of hyper-parameters, two ways: the command that W&B's agent would run, and a search without its server."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna")

ROOT = Path(__file__).parents[1]
FILE = ROOT / "experiments" / "search" / "pretrain.yaml"
PROBE = FILE.with_name("probe.yaml")


def agents(sweep: dict[str, Any], values: dict[str, object]) -> list[str]:
    """The command line that W&B's own agent makes of a sweep."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})["args"]
    return [w for part in create_sweep_command(sweep["command"]) for w in (args if part == "${args}" else [part])]


@pytest.mark.parametrize("file", [FILE, PROBE])
def test_the_command_is_the_one_that_the_agent_of_wandb_builds(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import search

    sweep = yaml.safe_load(file.read_text())
    values = {"method.temperature": 0.2, "method.encoder.width": 8, "trainer.max_epochs": 6}
    assert search.command_line(sweep, values) == agents(sweep, values)


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


@pytest.mark.slow
def test_one_file_run_by_the_agents_commands_and_by_optuna_gives_one_table(tmp_path: Path) -> None:
    from ssl_ecg.report.results import read_results
    from ssl_ecg.report.wandb import main_scores

    sweep = yaml.safe_load(PROBE.read_text())
    fixed = {"data": "Simulated", "data.patients": 60, "folds": 3, "resamples": 20}
    sweep["parameters"] = {name: {"value": value} for name, value in fixed.items()} | {"seed": {"values": [0, 1]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(sweep))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    environment |= {"SSL_ECG_CACHE": str(tmp_path / "cache"), "RUN": str(tmp_path / "runs" / "tiny")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    pretrain = ["--data.patients=60", "--batch_size=8", "--method.encoder.width=4", "--trainer.max_epochs=1"]
    where = [f"--out={tmp_path}/runs", "--name=tiny"]
    subprocess.run([sys.executable, "-m", "ssl_ecg.pretrain", *pretrain, *where], env=environment, check=True)
    search = [sys.executable, ROOT / "experiments" / "search.py", tmp_path / "tiny.yaml", f"--out={tmp_path}/optuna"]
    subprocess.run([*search, "--trials=2", "--jobs=2"], env=environment, check=True, timeout=900)
    with (tmp_path / "optuna" / "trials.csv").open(newline="") as file:
        found = {int(row["seed"]): float(row["value"]) for row in csv.DictReader(file)}

    varied = {name: how.get("values", [how.get("value")]) for name, how in sweep["parameters"].items()}
    wanted = {}
    for number, values in enumerate(product(*varied.values())):
        trial = dict(zip(varied, values, strict=True))
        given = environment | {
            "WANDB_RUN_ID": f"{number}",
            "SEARCH_OUT": str(tmp_path / "agent"),
            "SEARCH_WANDB": "off",
        }
        subprocess.run(agents(sweep, trial), env=given, check=True, timeout=900)
        scores = main_scores(read_results(tmp_path / "agent" / f"{number}" / "results.json"))
        wanted[trial["seed"]] = scores[sweep["metric"]["name"]]
    assert found == wanted and len(found) == 2

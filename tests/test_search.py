"""One file of hyper-parameters, three ways: by W&B's agent, on this machine without a server, and as a SLURM array.

W&B's own `wandb sweep` and `wandb agent` run against a stand-in for its server.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import wandb_server
import yaml
from slurm_cluster import control, submit, until

from ssl_ecg.report.state import read_sidecar

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


@dataclass
class Probing:
    """A small search over linear probes of a small checkpoint: its file, its environment, what it is over."""

    folder: Path
    file: Path
    environment: dict[str, str]
    metric: str = "macro_auroc/pretrained"

    def table(self, name: str) -> dict[str, float]:
        """What a search without a server found, by the number of folds."""
        with (self.folder / name / "trials.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["state"] for row in rows] == ["complete", "complete"]
        return {row["folds"]: float(row["value"]) for row in rows}


@pytest.fixture(scope="module")
def probing(tmp_path_factory: pytest.TempPathFactory) -> Probing:
    folder = tmp_path_factory.mktemp("probing")
    sweep = yaml.safe_load(PROBE.read_text())
    fixed = {"data": "Simulated", "data.patients": 40, "resamples": 20, "components": 4}
    sweep["parameters"] = {name: {"value": value} for name, value in fixed.items()}
    sweep["parameters"] |= {"folds": {"values": [2, 3]}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(sweep))
    environment = here(folder) | {"RUN": str(folder / "runs" / "tiny")}
    pretrain = ["--data.patients=40", "--batch_size=8", "--method.encoder.width=4", "--trainer.max_epochs=1"]
    where = [f"--out={folder}/runs", "--name=tiny"]
    subprocess.run([sys.executable, "-m", "ssl_ecg.pretrain", *pretrain, *where], env=environment, check=True)
    return Probing(folder, folder / "tiny.yaml", environment)


@pytest.fixture(scope="module")
def table(probing: Probing) -> dict[str, float]:
    """Of Optuna, two trials at once on this machine."""
    search = [sys.executable, ROOT / "experiments" / "search.py", probing.file, f"--out={probing.folder}/here"]
    subprocess.run([*search, "--trials=2", "--jobs=2"], env=probing.environment, check=True, timeout=900)
    return probing.table("here")


@pytest.mark.slow
def test_the_agent_of_wandb_finds_what_optuna_finds(probing: Probing, table: dict[str, float]) -> None:
    with wandb_server.serving() as server:
        swept(server, probing.file, probing.folder, probing.environment)
    runs = list(server.runs.values())
    assert [run.state for run in runs] == ["finished", "finished"]
    assert {str(run.config["folds"]["value"]): run.summary[probing.metric] for run in runs} == table


@pytest.mark.slow
def test_an_array_of_slurm_finds_what_optuna_finds(
    probing: Probing, table: dict[str, float], cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in probing.environment.items():
        monkeypatch.setenv(name, value)
    given = [str(probing.file), f"--out={probing.folder}/array"]
    array = submit(ROOT, "search.sbatch", *given, options=("--array=0-1", f"--output={probing.folder}/%x-%j.log"))
    until(lambda: not control("squeue", "--noheader", "--jobs", array), array, probing.folder / f"search-{array}.log")
    assert probing.table("array") == table


@pytest.mark.slow
def test_a_trial_that_wandb_stops_and_starts_again_is_one_run(tmp_path: Path) -> None:
    sweep = yaml.safe_load(FILE.read_text())
    tiny = {"data.patients": 60, "batch_size": 8, "method.encoder.stages": 2, "trainer.accelerator": "cpu"}
    tiny |= {
        "method.temperature": 0.2,
        "method.optimiser.lr": 0.001,
        "method.encoder.width": 4,
        "trainer.max_epochs": 20,
    }
    sweep["parameters"] = {name: {"value": value} for name, value in tiny.items()}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(sweep))
    with wandb_server.serving() as server:
        server.preempt = True
        swept(server, tmp_path / "tiny.yaml", tmp_path, here(tmp_path))
    ((name, run),) = server.runs.items()
    folder = tmp_path / "runs" / "search" / name
    sidecar = read_sidecar(folder) or {}
    assert not run.preempting  # W&B would start again what it stops early
    assert run.state == sidecar["state"] == "finished" and len(sidecar["earlier"]) == 1
    assert (folder / "wandb_id").read_text() == name
    epochs = [int(step["epoch"]) for step in run.history if "probe_auroc" in step]
    assert epochs == sorted(set(epochs))


def here(folder: Path) -> dict[str, str]:
    """The environment of a command that is to find this Python and this checkout, and to keep its cache in a folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    packages = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return {**os.environ, "PATH": path, "PYTHONPATH": packages, "SSL_ECG_CACHE": str(folder / "cache")}


def swept(server: wandb_server.Wandb, file: Path, folder: Path, environment: dict[str, str]) -> None:
    """Send a file to W&B, and let its agent run all trials, in a folder."""
    given = {**environment, **server.environment, "HOME": str(folder), "WANDB_DIR": str(folder)}
    create = ["wandb", "sweep", "--entity=entity", "--project=project", str(file)]
    for command in (create, ["wandb", "agent", f"entity/project/sweep{len(server.sweeps)}"]):
        subprocess.run(command, env=given, cwd=folder, check=True, timeout=900)

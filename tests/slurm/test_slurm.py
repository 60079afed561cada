"""The batch scripts on a real SLURM: queued again in the midst of training, a run ends as if it had never been."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import torch
from slow_source import Slow
from slurm_cluster import ROOT, control, state, submit, until
from tiny_runs import arguments, assert_same, weights

from ssl_ecg.data.build import build
from ssl_ecg.launch import Launcher
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.state import read_sidecar

LONG = ["--trainer.max_epochs=40", "--probe_every=40", "--trainer.save_minutes=100"]

pytestmark = pytest.mark.slow


def test_two_tasks_queued_again_leave_the_same_run(cluster: None, tmp_path: Path) -> None:
    two = ("--ntasks-per-node=2",)
    whole = submit(tmp_path, "pretrain.sbatch", *arguments(tmp_path, "whole", *LONG), options=two)
    log = tmp_path / f"pretrain-{whole}.log"
    until(lambda: state(whole) == "COMPLETED", whole, log)

    job = submit(tmp_path, "pretrain.sbatch", *arguments(tmp_path, "again", *LONG), options=two)
    log, last = tmp_path / f"pretrain-{job}.log", tmp_path / "runs" / "again" / "last.ckpt"

    def disturb(after: int, *command: str) -> None:
        """Do something once it has trained for the time that it was started for."""
        begun = f"started {after} times before"
        until(lambda: log.exists() and begun in log.read_text(), job, log)
        before = last.stat().st_mtime if last.exists() else 0
        until(lambda: last.exists() and last.stat().st_mtime > before, job, log)
        control(*command)
        until(lambda: state(job) == "PENDING", job, log)
        assert (read_sidecar(last.parent) or {})["state"] == "stopped"
        time.sleep(3)  # or SLURM revokes what it starts in the second in which the last one ended
        control("scontrol", "update", f"jobid={job}", "StartTime=now")  # it would wait for minutes

    disturb(0, "scontrol", "requeue", job)
    disturb(1, "scancel", "--signal=USR1", job)  # as SLURM sends it ahead of the time limit
    until(lambda: state(job) == "COMPLETED", job, log)

    said = log.read_text()
    print(said)
    assert said.count("stopped by SIGTERM and saved") == said.count("stopped by SIGUSR1 and saved") == 1
    assert said.count("going on where it was stopped") == 2
    assert said.count("epoch 40/40") == said.count("checkpoint  ") == 1
    sidecar = read_sidecar(last.parent) or {}
    assert (sidecar["state"], sidecar["job"], sidecar["restarts"]) == ("finished", job, 2)
    steps = [torch.load(tmp_path / "runs" / name / "last.ckpt")["step"] for name in ("whole", "again")]
    assert steps == [120, 120]
    assert_same(weights(tmp_path, "again"), weights(tmp_path, "whole"))

    runs = [str(tmp_path / "runs" / name) for name in ("whole", "again")]
    task = ["--data=Simulated", "--data.patients=40", f"--cache={tmp_path}/cache", "--beside=untrained"]
    array = submit(tmp_path, "probe.sbatch", *runs, "--", *task, options=("--array=0-1",))
    until(lambda: not control("squeue", "--noheader", "--jobs", array), array, tmp_path / "probe")
    assert all(list(Path(run).glob("probe-*/results.json")) for run in runs), list(tmp_path.glob("probe-*.log"))


def test_jobs_of_an_array_make_the_store_that_one_process_makes(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)]))
    how = Preprocessing(fs=100, leads=("I", "II"), window=2.0)
    one, two = (
        build(Slow(40), how, tmp_path / launcher.where, launcher=launcher).path
        for launcher in (Launcher(), Launcher("slurm", jobs=2, minutes=5))
    )
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }

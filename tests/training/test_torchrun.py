"""Several machines: whoever starts the processes, they train one model, and go on with it when they were killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_runs import arguments, assert_same, weights

from ssl_ecg.errors import UserError
from ssl_ecg.training.settings import TrainerSettings

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
LONG = ["--trainer.max_epochs=40", "--probe_every=40"]


def torchrun(*given: str, of: tuple[str, ...] = ("--standalone", "--nproc-per-node=2")) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *of, "-m", "ssl_ecg.pretrain", *given]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a run of two processes that nobody stopped, `whole`."""
    folder = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "ssl_ecg.pretrain", *arguments(folder, "whole", *LONG, "--trainer.devices=2")]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=600)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_two_processes_of_torchrun_killed_and_started_again_go_on(
    whole: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    given = arguments(tmp_path, "killed", *LONG, "--trainer.devices=2")
    last = tmp_path / "runs" / "killed" / "last.ckpt"
    for _ in range(2):
        before = last.stat().st_mtime_ns if last.exists() else 0
        process = torchrun(*given)
        while process.poll() is None and (not last.exists() or last.stat().st_mtime_ns == before):
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        if kind == signal.SIGKILL:
            workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
            assert len(workers) == 2
            for pid in (process.pid, *map(int, workers)):  # as when the machine dies
                os.kill(pid, kind)
        else:
            process.send_signal(kind)  # torchrun tells its processes
        _, err = process.communicate(timeout=300)
        assert process.returncode != 0
        assert err.count("stopped by SIGTERM and saved") == (kind == signal.SIGTERM)
    assert finish(torchrun(*given)).count("checkpoint  ") == 1
    assert torch.load(last)["step"] == 120
    assert_same(weights(tmp_path, "killed"), weights(whole, "whole"))


@pytest.mark.slow
def test_two_machines_learn_as_one_with_two_processes(whole: Path, tmp_path: Path) -> None:
    """Two rendezvous agents on this machine: the processes of each count from 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = arguments(tmp_path, "nodes", *LONG, "--trainer.num_nodes=2")
    rendezvous = ("--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=test")
    two = [torchrun(*given, of=("--nnodes=2", "--nproc-per-node=1", *rendezvous)) for _ in range(2)]
    assert "".join(map(finish, two)).count("checkpoint  ") == 1
    assert_same(weights(tmp_path, "nodes"), weights(whole, "whole"))


def test_fewer_processes_than_it_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    two = TrainerSettings(accelerator="cpu", devices=2, num_nodes=2)
    assert two.processes == 4
    with pytest.raises(
        UserError, match=r"num_nodes 2, but 1 processes were started: start as many by torchrun or srun"
    ):
        two.check()
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "4")
            two.check()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="but 2 processes were started"):
        TrainerSettings(accelerator="cpu").check()
    TrainerSettings(accelerator="cpu", devices=2).check()

"""Two processes train one model as one: one says it, one scores it, one writes it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ssl_ecg import load_encoder

RANKED = '''
import torch

from ssl_ecg.methods import SimCLR


class Ranked(SimCLR):
    """Learns as SimCLR does; the loss is the number of the process, from 1."""

    def compare(self, views, patient):
        loss = super().compare(views, patient)
        return loss - loss.detach() + torch.distributed.get_rank() + 1
'''

TWO = [
    "--data.patients=40",
    "--data.records_per_patient=2",
    "--method=ranked_for_test.Ranked",
    "--method.encoder.width=4",
    "--method.encoder.stages=2",
    "--batch_size=8",
    "--trainer.accelerator=cpu",
    "--trainer.devices=2",
    "--name=two",
]


def start(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    (tmp_path / "ranked_for_test.py").write_text(RANKED)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    return subprocess.Popen(
        [sys.executable, "-m", "ssl_ecg.pretrain", *TWO, f"--out={tmp_path}/runs", f"--cache={tmp_path}/cache", *more],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.slow
def test_two_processes_on_the_cpu_leave_one_run(tmp_path: Path) -> None:
    process = start(tmp_path, "--trainer.max_epochs=2")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    run = tmp_path / "runs" / "two"
    assert out.count("Frozen embeddings of") == out.count("checkpoint  ") == 1
    assert err.count("parameters; run folder") == err.count("epoch 2/2") == 1
    assert "sync_dist" not in err
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [float(row["loss"]) for row in rows] == [1.5, 1.5]  # of 1 and 2
    assert all(float(row[name]) for row in rows for name in ("probe_auroc", "effective_rank", "samples_per_s"))
    state = torch.load(run / "last.ckpt", weights_only=True)["method"]
    saved = load_file(run / "checkpoint" / "model.safetensors")
    for name, value in saved.items():
        assert torch.equal(value, state[f"encoder.{name}"]), name  # running statistics too
    assert load_encoder(run).card["epochs"] == 2
    assert {path.name for path in run.iterdir()} == {
        *("config.yaml", "origin.json", "metrics.csv", "results.json", "training.png", "last.ckpt", "checkpoint"),
        *("sidecar.json", "report.html", "views.png", "embeddings.png"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_first_process_stops_both_and_is_saved(tmp_path: Path, kind: signal.Signals) -> None:
    process = start(tmp_path, "--trainer.max_epochs=1000", "--probe_every=1000", "--trainer.save_minutes=0.0001")
    last = tmp_path / "runs" / "two" / "last.ckpt"
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline and not last.exists():
        time.sleep(0.01)
    process.send_signal(kind)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 128 + kind, err
    assert err.count(f"stopped by {kind.name} and saved: run the same command again") == 1
    assert "Traceback" not in err

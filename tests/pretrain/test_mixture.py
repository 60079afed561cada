"""Pretraining on four data sets at once: stopped at any moment, and who each of them has shown to the encoder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import Stop, assert_same, weights

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.errors import UserError
from ssl_ecg.training.log import Throughput
from ssl_ecg.training.run import Run

SETTINGS = [
    "--data=Simulated,Arrays,Arrays,toy.Toy",
    "--data.Simulated.patients=30",
    "--data.Simulated.duration=5",
    "--data.Toy.patients=4",
    "--data.weights=2,1,1,1",
    "--preprocessing.leads=any",
    "--preprocessing.window=4",
    "--windows=Sliding",
    "--method.encoder.width=4",
    "--method.encoder.stages=2",
    "--batch_size=60",
    "--trainer.save_minutes=0.0001",
    "--trainer.accelerator=cpu",
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here, rng = tmp_path_factory.mktemp("mixture"), np.random.default_rng(0)
    for number, leads in ((1, 1), (2, 3)):
        folder = here / f"ward{number}"
        folder.mkdir()
        for i in range(6):
            np.save(folder / f"p{i}.npy", rng.normal(size=(leads, 1000)))
    return here


def arguments(here: Path, name: str, *more: str) -> list[str]:
    wards = [f"--data.{n}.{setting}={value}" for n, leads in ((1, "[x]"), (2, "[a,b,c]")) for setting, value in (
        ("path", f"{here}/ward{n}"), ("fs", 100), ("leads", leads)
    )]  # fmt: skip
    return [*SETTINGS, *wards, f"--out={here}/runs", f"--cache={here}/cache", f"--name={name}", *more]


@pytest.fixture(scope="module")
def run(here: Path) -> Path:
    pretrain.main(arguments(here, "whole", "--trainer.max_epochs=2"))
    return here / "runs" / "whole"


def test_stopped_at_any_step_it_goes_on_to_the_same_weights(
    run: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = arguments(here, "stopped", "--trainer.max_epochs=2")
    for step in (1, 9):
        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", Stop(step).on_train_batch_start)
            with pytest.raises(RuntimeError, match="stopped"):
                pretrain.main(command)
    pretrain.main(command)
    assert_same(weights(here, "stopped"), weights(here, "whole"))


def test_the_checkpoint_knows_the_patients_of_each(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = load_encoder(run)
    assert encoder.card["data"] == "Simulated, Arrays, Arrays, Toy"
    cohorts = encoder.card["cohorts"]
    assert {"Simulated", "Toy"} < set(cohorts)
    assert len(cohorts) == 4
    for cohort in cohorts:
        names = [f"p{i}" for i in range(6)] + [f"p{i:05}" for i in range(60)]
        seen = encoder.saw(cohort, names)
        assert seen, cohort
        assert encoder.saw("elsewhere", seen) == []
    assert "p3" not in encoder.saw("Toy", ["p3"]), "of the test side"
    signal = np.random.default_rng(1).normal(size=(2, 1000))
    assert encoder(signal, 100, ["whatever", "ECG"]).shape == (encoder.dim,)
    card = (run / "checkpoint" / "README.md").read_text()
    assert "pretrained on Simulated, Arrays, Toy" in card


def test_where_each_lies_makes_no_difference_to_a_run_and_its_settings_do(tmp_path: Path) -> None:
    def config(**settings: object) -> dict[str, Any]:
        sources = [{"class_path": "ssl_ecg.data.sources.ptbxl.PTBXL", "init_args": settings}]
        return {"data": {"class_path": "ssl_ecg.data.sources.mixture.Mixture", "init_args": {"sources": sources}}}

    Run(tmp_path / "run", config(root="here", rate=100))
    (tmp_path / "run" / "last.ckpt").touch()
    Run(tmp_path / "run", config(root="there", rate=100))
    with pytest.raises(UserError, match=r"data\.sources\.0\.rate: was 100, now 500"):
        Run(tmp_path / "run", config(root="here", rate=500))


def test_the_command_to_try_next_is_of_the_probed_data_set(
    run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain.main(arguments(here, "whole", "--trainer.max_epochs=2"))
    out, err = capsys.readouterr()
    assert "nothing to train" in err
    assert "--data Simulated --data.patients 30" in out


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_weights(here: Path) -> None:
    long = "--trainer.max_epochs=4"
    pretrain.main(arguments(here, "long", long))
    command = [sys.executable, "-m", "ssl_ecg.pretrain", *arguments(here, "killed", long)]
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, str(Path(tests).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": path}
    last = here / "runs" / "killed" / "last.ckpt"
    for _ in range(2):
        before = last.stat().st_mtime_ns if last.exists() else 0
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not last.exists() or last.stat().st_mtime_ns == before):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert_same(weights(here, "killed"), weights(here, "long"))

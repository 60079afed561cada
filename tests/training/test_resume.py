"""A run that is stopped at any moment, and started again by the same command, ends with the same weights."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from checkpoints import fresh_checkpoint
from tiny_runs import Stop, arguments, assert_same, listening, weights

from ssl_ecg import pretrain
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.training.log import Throughput

CROPS = [
    "--method.views=MultiCrop",
    "--method.views.global_duration=3",
    "--method.views.local_duration=1.5",
    "--method.views.augmentations=GaussianNoise",
]
METHODS = {
    "SimCLR": [],
    "BYOL": [],
    "DINO": CROPS,  # a centre, and a temperature that rises
    "MoCo": ["--method.queue=40", "--method.negatives=others", "--positives=SamePatient"],
}
BLOCKS = ["--method.block=0.5", "--method.blocks=2"]
MORE = {
    "BarlowTwins": [],
    "LeJEPA": CROPS,
    "SimSiam": [],
    "VICReg": [],
    "Distillation": ["--method.augmentations=GaussianNoise", "--method.hidden_dim=16"],
    "Autoencoder": ["--method.augmentations=GaussianNoise"],
    "CPC": ["--method.encoder=ConvGRU", "--method.encoder.context=8", "--method.negatives=both"],
    "JEPA": BLOCKS,
    "Joint": [
        "--method.objectives=SimCLR,JEPA",
        "--method.objectives.0.views=Views",
        "--method.objectives.0.views.augmentations=GaussianNoise",
        "--method.objectives.1.blocks=2",
        "--method.objectives.1.block=0.5",
    ],
    "MaskedAutoencoder": ["--method.block=0.5"],
}


@pytest.mark.parametrize("method", [*METHODS, *(pytest.param(method, marks=pytest.mark.slow) for method in MORE)])
def test_a_crash_at_any_step_changes_nothing(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [f"--method={method}", *{**METHODS, **MORE}[method]]
    if method == "Distillation":
        teacher = fresh_checkpoint(tmp_path / "teacher", Preprocessing(leads=("II", "V1"), window=5))
        given.append(f"--method.teacher={teacher}")

    def run(name: str) -> None:
        # A ConvGRU, which CPC needs, has no stages.
        pretrain.main([a for a in arguments(tmp_path, name, *given) if method != "CPC" or ".stages=" not in a])

    run("whole")
    for step in (1, 6, 13):  # 6 steps an epoch: within it, at its end, within the last; each time it goes on
        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", Stop(step).on_train_batch_start)
            with pytest.raises(RuntimeError, match="stopped"):
                run("stopped")
        assert (tmp_path / "runs" / "stopped" / "last.ckpt").exists()
        torch.manual_seed(99)  # global state must not matter
    run("stopped")
    assert_same(weights(tmp_path, "stopped"), weights(tmp_path, "whole"))
    rows = (tmp_path / "runs" / "stopped" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 3


def test_dropout_draws_the_same_in_a_resumed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropout = ["--method.encoder.dropout=0.5", "--trainer.max_epochs=1"]
    pretrain.main(arguments(tmp_path, "whole", *dropout))
    with monkeypatch.context() as patch:
        patch.setattr(Throughput, "on_train_batch_start", Stop(2).on_train_batch_start)
        with pytest.raises(RuntimeError, match="stopped"):
            pretrain.main(arguments(tmp_path, "stopped", *dropout))
    torch.rand(17)  # another state than the one it was stopped in
    pretrain.main(arguments(tmp_path, "stopped", *dropout))
    assert_same(weights(tmp_path, "stopped"), weights(tmp_path, "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_process_goes_on_by_the_same_command(tmp_path: Path, kind: signal.Signals) -> None:
    long = ["--trainer.max_epochs=12"]
    pretrain.main(arguments(tmp_path, "whole", *long))
    command = [sys.executable, "-m", "ssl_ecg.pretrain", *arguments(tmp_path, "killed", *long)]
    # Sums depend on the number of threads: the same as in this process, whatever the environment says.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    last = tmp_path / "runs" / "killed" / "last.ckpt"
    for _ in range(2):
        before = last.stat().st_mtime_ns if last.exists() else 0
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=listening,
        )
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and last.stat().st_mtime_ns != before:  # it has trained and saved: any moment will do
                process.send_signal(kind)
                break
            time.sleep(0.001)
        _, messages = process.communicate(timeout=200)
        if kind != signal.SIGKILL:
            assert process.returncode == 128 + kind, messages
            assert f"stopped by {kind.name} and saved: run the same command again" in messages
            assert "Traceback" not in messages
        else:
            assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert "going on where it was stopped" in done.stderr
    assert_same(weights(tmp_path, "killed"), weights(tmp_path, "whole"))


@pytest.fixture
def ward(shared_data: Path, tmp_path: Path) -> Path:
    """A folder of recordings as a user may have one: 24 of LUDB."""
    there = shared_data / "ludb" / "data"
    if not (there / "1.dat").exists():
        pytest.skip(f"no recordings of LUDB in {there}")
    folder = tmp_path / "ward"
    folder.mkdir()
    for number in range(1, 25):
        for suffix in ("hea", "dat"):
            shutil.copy(there / f"{number}.{suffix}", folder)
    return folder


def on(root: Path, tmp_path: Path, name: str = "ward") -> list[str]:
    """Pretraining on the recordings in a folder."""
    data = ["--data=WFDBFolder", f"--data.root={root}"]
    return [*data, *(each for each in arguments(tmp_path, name) if not each.startswith("--data."))]


def begin(tmp_path: Path, ward: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was stopped before its second step."""
    with monkeypatch.context() as patch:
        patch.setattr(Throughput, "on_train_batch_start", Stop(1).on_train_batch_start)
        with pytest.raises(RuntimeError, match="stopped"):
            pretrain.main(on(ward, tmp_path))
    folder = tmp_path / "runs" / "ward"
    assert (folder / "last.ckpt").exists()
    return folder


def renamed_record(ward: Path, number: int, becomes: int) -> None:
    """One recording takes the name of another."""
    header = (ward / f"{number}.hea").read_text().replace(f"{number} 12", f"{becomes} 12")
    (ward / f"{becomes}.hea").write_text(header.replace(f"{number}.dat", f"{becomes}.dat"))
    shutil.copy(ward / f"{number}.dat", ward / f"{becomes}.dat")


def test_a_stopped_run_goes_on_with_the_same_data_wherever_they_lie_and_with_no_others(
    tmp_path: Path, ward: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, ward, monkeypatch)
    ward = ward.rename(tmp_path / "moved")
    shutil.copytree(ward, before := tmp_path / "before")

    def refused(*changed: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", lambda *_: pytest.fail("trained on other data"))
            with pytest.raises(SystemExit) as stop:
                pretrain.main(on(ward, tmp_path))
        assert stop.value.code == 1
        err = capsys.readouterr().err
        assert "was started from something else, though its settings are the same" in err
        assert [line.split(":")[0].strip() for line in err.splitlines() if ": was " in line] == [*changed]

    renamed_record(ward, 1, 2)
    refused("data")
    (ward / "2.hea").unlink()
    (ward / "2.dat").unlink()
    refused("data", "patients learned from")
    pretrain.main(on(before, tmp_path))
    assert "going on where it was stopped" in capsys.readouterr().err
    pretrain.main(on(before, tmp_path, "whole"))
    assert_same(weights(tmp_path, "ward"), weights(tmp_path, "whole"))


def test_a_finished_run_is_shown_whatever_became_of_its_data(
    tmp_path: Path, ward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain.main(on(ward, tmp_path))
    for change in (lambda: renamed_record(ward, 1, 2), lambda: shutil.rmtree(ward)):
        change()
        capsys.readouterr()
        pretrain.main(on(ward, tmp_path))
        assert "nothing to train" in capsys.readouterr().err


def test_a_run_that_does_not_say_what_it_began_with_goes_on_and_says_it_from_then_on(
    tmp_path: Path, ward: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = begin(tmp_path, ward, monkeypatch) / "origin.json"
    said = json.loads(origin.read_text())
    assert set(said) == {"data", "patients learned from"}
    origin.unlink()
    pretrain.main(on(ward, tmp_path))
    assert "does not say what it began with" in capsys.readouterr().err
    assert json.loads(origin.read_text()) == said
    assert weights(tmp_path, "ward")

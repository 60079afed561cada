"""A run that is stopped by hand, by a full disk or by another one in its folder: what it says and what it keeps."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from pytorch_lightning import Callback
from tiny_runs import Stop, arguments, assert_same, listening, weights

from ssl_ecg import pretrain
from ssl_ecg.report.state import read_sidecar
from ssl_ecg.training.log import Throughput
from ssl_ecg.training.processes import trained_by_one


@pytest.fixture
def terminal() -> Iterator[None]:
    """Ctrl-C is heard, whoever started the tests."""
    before = signal.getsignal(signal.SIGINT)
    listening()
    yield
    signal.signal(signal.SIGINT, before)


class Press(Callback):
    """Presses Ctrl-C at a step, or twice, or sends another signal."""

    def __init__(self, step: int, times: int = 1, kind: signal.Signals = signal.SIGINT) -> None:
        self.step, self.times, self.kind = step, times, kind

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.kind)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a run that nobody stopped, `whole`."""
    folder = tmp_path_factory.mktemp("whole")
    pretrain.main(arguments(folder, "whole"))
    return folder


@pytest.mark.usefixtures("terminal")
def test_ctrl_c_ends_and_saves_the_step_at_hand(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seldom = "--trainer.save_minutes=100"
    for step in (1, 5, 17):  # 6 steps an epoch: within one, its last, the run's last; each time it goes on
        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", Press(step).on_train_batch_start)
            with pytest.raises(SystemExit) as stop:
                pretrain.main(arguments(tmp_path, "pressed", seldom))
        assert stop.value.code == 130
        assert "stopped by SIGINT and saved: run the same command again" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        state = torch.load(tmp_path / "runs" / "pressed" / "last.ckpt", weights_only=True)
        assert state["step"] == step + 1
    pretrain.main(arguments(tmp_path, "pressed", seldom))
    assert_same(weights(tmp_path, "pressed"), weights(whole, "whole"))
    rows = (tmp_path / "runs" / "pressed" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 3


@pytest.mark.parametrize("kind", [signal.SIGUSR1, signal.SIGUSR2])
def test_what_slurm_sends_ahead_of_the_end_stops_and_saves_too(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: signal.Signals
) -> None:
    before = signal.getsignal(kind)
    with monkeypatch.context() as patch:
        patch.setattr(Throughput, "on_train_batch_start", Press(5, kind=kind).on_train_batch_start)
        with pytest.raises(SystemExit) as stop:
            pretrain.main(arguments(tmp_path, "warned", "--trainer.save_minutes=100"))
    assert stop.value.code == 128 + kind
    assert signal.getsignal(kind) == before
    said = read_sidecar(folder := tmp_path / "runs" / "warned")
    assert said and (said["state"], said["step"]) == ("stopped", 6)
    assert torch.load(folder / "last.ckpt", weights_only=True)["step"] == 6
    pretrain.main(arguments(tmp_path, "warned", "--trainer.save_minutes=100"))
    assert_same(weights(tmp_path, "warned"), weights(whole, "whole"))


@pytest.mark.usefixtures("terminal")
def test_a_second_ctrl_c_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Throughput, "on_train_batch_start", Press(1, times=2).on_train_batch_start)
    with pytest.raises(SystemExit) as stop:
        pretrain.main(arguments(tmp_path, "pressed", "--trainer.save_minutes=100"))
    assert stop.value.code == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert not (tmp_path / "runs" / "pressed" / "last.ckpt").exists()


def test_two_commands_do_not_train_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / "twice"
    with trained_by_one(folder):
        (mine,) = folder.iterdir()
        before = mine.read_bytes()
        with pytest.raises(SystemExit) as stop:
            pretrain.main(arguments(tmp_path, "twice"))
        assert [path.read_bytes() for path in folder.iterdir()] == [before]  # left alone
    assert stop.value.code == 1
    assert f"{folder} is being trained by another process" in capsys.readouterr().err
    pretrain.main(arguments(tmp_path, "twice", "--trainer.max_epochs=1"))
    assert weights(tmp_path, "twice")


def test_a_full_disk_is_said_and_leaves_the_last_state(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = (whole / "runs" / "whole" / "last.ckpt").stat().st_size
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))  # of a file: as good as of a disk
        with pytest.raises(SystemExit) as stop:
            pretrain.main(arguments(tmp_path, "full"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stop.value.code == 1
    folder = tmp_path / "runs" / "full"
    assert f"error: cannot write {folder / 'last.ckpt'}: is the disk full?" in capsys.readouterr().err
    assert not list(folder.glob("*last.ckpt*")) + list(folder.glob(".*"))
    pretrain.main(arguments(tmp_path, "full"))
    assert_same(weights(tmp_path, "full"), weights(whole, "whole"))


def test_settings_stand_only_once_something_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped_before(step: int, *settings: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", Stop(step).on_train_batch_start)
            with pytest.raises(RuntimeError, match="stopped"):
                pretrain.main(arguments(tmp_path, "anew", *settings))

    stopped_before(0, "--seed=1")
    folder = tmp_path / "runs" / "anew"
    first = (folder / "origin.json").read_text()
    stopped_before(1, "--seed=2", "--data.patients=50")
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 2
    assert (folder / "origin.json").read_text() != first
    with pytest.raises(SystemExit):
        pretrain.main(arguments(tmp_path, "anew", "--seed=1"))
    assert "seed: was 2, now 1" in capsys.readouterr().err

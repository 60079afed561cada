"""A run's `sidecar.json`: what it says, and whom it keeps out, also where files cannot be locked."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ssl_ecg.errors import CheckpointError, UserError
from ssl_ecg.report.state import read_sidecar
from ssl_ecg.training import sidecar
from ssl_ecg.training.processes import trained_by_one
from ssl_ecg.training.sidecar import Sidecar

ELSEWHERE = {"machine": "another", "host": "node7", "pid": 1, "job": "12", "restarts": 0, "owner": "x"}


def says(folder: Path, **more: Any) -> dict[str, Any]:
    """Have a folder held by a job on another machine, or by what `more` says."""
    folder.mkdir(exist_ok=True)
    said = {"state": "running", **ELSEWHERE, **more}
    (folder / "sidecar.json").write_text(json.dumps(said))
    return said


@pytest.fixture(params=["locks", "no locks"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, on a file system with locks and on one without."""
    if request.param == "no locks":

        def refuse(*_: object) -> None:
            raise OSError(37, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    return tmp_path / "run"


def test_it_says_how_the_run_fares_to_its_end(run: Path) -> None:
    with trained_by_one(run) as held:
        held.step(7)
        held._write()
        said = read_sidecar(run)
        assert said and (said["state"], said["step"], said["job"]) == ("running", 7, "12")
        assert time.time() - said["heartbeat"] < 10
    assert (read_sidecar(run) or {})["state"] == "finished"
    for error, state in (
        (SystemExit(138), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (RuntimeError("oh"), "failed"),
    ):
        with pytest.raises(type(error)), trained_by_one(run):
            raise error
        said = read_sidecar(run)
        assert said and said["state"] == state
    assert said["error"] == "oh"
    assert [path.name for path in run.iterdir()] == ["sidecar.json"]


def test_what_is_refused_changes_nothing_and_what_fails_is_said(run: Path) -> None:
    with pytest.raises(UserError), trained_by_one(run):
        raise UserError("other settings")
    assert not list(run.iterdir())
    with trained_by_one(run):
        pass
    before = (run / "sidecar.json").read_text()
    with pytest.raises(UserError), trained_by_one(run):
        raise UserError("other settings")
    assert (run / "sidecar.json").read_text() == before
    for step, error in ((None, CheckpointError("damaged")), (3, UserError("the loss is nan"))):
        with pytest.raises(UserError), trained_by_one(run) as held:  # noqa: PT012
            if step:
                held.step(step)
            raise error
        assert (read_sidecar(run) or {})["error"] == str(error)


def test_two_do_not_share_a_folder(run: Path) -> None:
    with (
        trained_by_one(run),
        pytest.raises(UserError, match="is being trained by another process"),
        trained_by_one(run),
    ):
        pass
    mine = says(run)
    refusal = r"another process on node7 \(SLURM job 12\): wait for it"
    with pytest.raises(UserError, match=refusal), trained_by_one(run):
        pass
    assert read_sidecar(run) == mine


@pytest.mark.parametrize(
    ("more", "age", "restarts"),
    [
        ({}, 2 * sidecar.STALE, 0),  # silent for long
        ({"state": "stopped"}, 0, 0),
        ({"machine": sidecar._machine(), "host": os.uname().nodename, "pid": 2**30}, 0, 0),  # dead
        ({}, 0, 1),  # requeued, on another machine
    ],
)
def test_a_folder_is_taken_over_from_who_is_gone(
    run: Path, more: dict[str, Any], age: float, restarts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    says(run, **more)
    os.utime(run / "sidecar.json", (time.time() - age,) * 2)
    with trained_by_one(run):
        pass
    said = read_sidecar(run)
    assert said and (said["state"], said["restarts"], said["pid"]) == ("finished", restarts, os.getpid())


def test_who_was_silent_too_long_stops_and_leaves_the_folder_to_the_other(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "BEAT", 0.01)
    with pytest.raises(UserError, match="on node7"), trained_by_one(run) as held:  # noqa: PT012
        held.step(1)
        other = says(run)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            held.step(2)
            time.sleep(0.01)
    assert read_sidecar(run) == other


def test_a_gate_left_by_a_crash_opens_after_a_while(run: Path) -> None:
    run.mkdir()
    gate = run / ".sidecar.json.lock"
    gate.touch()
    os.utime(gate, (time.time() - 2 * sidecar.STALE,) * 2)
    with Sidecar(run).held(locked=True):
        assert not gate.exists()

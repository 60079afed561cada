"""`python -m ssl_ecg.runs` finds every run below a folder and says how it fares."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ssl_ecg import runs
from ssl_ecg.report.state import STALE
from ssl_ecg.training.processes import trained_by_one


def run(folder: Path, metrics: str = "epoch,step,loss\n0,6,3.5\n1,12,3.25\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "metrics.csv").write_text(metrics)
    return folder


def test_runs_are_listed_with_state_step_and_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with trained_by_one(run(tmp_path / "a" / "done")) as held:
        held.step(12)
    scores = {"scores": {"pretrained": {"macro_auroc": 0.75}}}
    (tmp_path / "a" / "done" / "results.json").write_text(json.dumps(scores))
    with pytest.raises(RuntimeError), trained_by_one(run(tmp_path / "broken")):
        raise RuntimeError("CUDA out of memory\nmore")
    with pytest.raises(SystemExit), trained_by_one(run(tmp_path / "told")):
        raise SystemExit(138)
    (run(tmp_path / "old") / "last.ckpt").touch()
    with trained_by_one(run(tmp_path / "killed")) as held:
        held.step(9)
        held._write()
        said = (tmp_path / "killed" / "sidecar.json").read_text()
    (tmp_path / "killed" / "sidecar.json").write_text(said)
    os.utime(tmp_path / "killed" / "sidecar.json", (time.time() - 2 * STALE,) * 2)
    (tmp_path / "notes").mkdir()
    with trained_by_one(run(tmp_path / "going")):
        runs.main([str(tmp_path)])
        rows = runs.Runs(str(tmp_path)).run()
    assert {name: row["state"] for name, row in rows.items()} == {
        "a/done": "finished",
        "broken": "failed",
        "going": "running",
        "killed": "stalled",
        "old": "stopped",
        "told": "stopped",
    }
    assert (rows["a/done"]["macro_auroc"], rows["killed"]["step"], rows["old"]["loss"]) == (0.75, 9, 3.25)
    out = capsys.readouterr().out
    assert "broken: CUDA out of memory\n" in out
    assert "stalled" in out and ".750" in out


def test_a_folder_without_runs_and_none_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.main([str(tmp_path)])
    assert "No runs below" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        runs.main([])
    assert "error: there is no folder runs" in capsys.readouterr().err

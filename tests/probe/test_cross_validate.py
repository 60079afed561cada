"""The cross-validated probe on simulated ECG: everybody is scored, and who was in pretraining is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from checkpoints import fresh_checkpoint
from torch import Tensor

from ssl_ecg import cross_validate
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "II"), window=5.0)


def test_all_patients_are_scored_beside_the_baselines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P, (("Simulated", "p00003"), ("Simulated", "p00004")))
    arguments = ["--data=Simulated", "--data.patients=60", "--data.records_per_patient=2", "--folds=3"]
    cross_validate.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache", "--resamples=50"])
    folder = checkpoint / "cross-validate-simulated"
    results = json.loads((folder / "results.json").read_text())
    assert (results["samples"], results["patients"], results["folds"]) == (120, 60, 3)
    assert results["setting"].startswith("transductive: 2 of the 60 patients were in pretraining")
    assert results["setting"] in capsys.readouterr().out
    systems = results["systems"]
    assert {"pretrained", "untrained", "raw PCA", "hand features"} <= set(systems)
    assert set(systems["pretrained"]["versus"]) == set(systems) - {"pretrained"}
    assert systems["hand features"]["scores"]["macro_auroc"]["value"] > 0.7
    assert set(pd.read_csv(folder / "results.csv")["system"]) == set(systems)
    assert (folder / "scores.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ("untraned", "unknown baseline untraned: there is untrained, raw PCA, RR alone, hand features"),
        ("RR alone", "Simulated has no classes of beats"),
    ],
)
def test_what_cannot_stand_beside_is_said(
    tmp_path: Path, beside: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P)
    with pytest.raises(SystemExit):
        cross_validate.main([str(checkpoint), "--data=Simulated", f"--beside={beside}", f"--cache={tmp_path}/cache"])
    assert message in capsys.readouterr().err


def test_the_test_patients_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P)
    arguments = ["--data=Simulated", "--data.patients=60", "--folds=2", "--beside=raw PCA", "--resamples=20"]
    monkeypatch.setattr(WindowSet, "load", _not_of_the_test_side(WindowSet.load))
    cross_validate.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache", "--validate"])
    results = json.loads((checkpoint / "validate-simulated" / "results.json").read_text())
    assert results["patients"] == 44
    assert "the test patients were left out" in results["setting"]


def _not_of_the_test_side(load: Callable[[WindowSet, Tensor], Tensor]) -> Callable[[WindowSet, Tensor], Tensor]:
    def guarded(windows: WindowSet, rows: Tensor) -> Tensor:
        assert "test" not in windows.split
        return load(windows, rows)

    return guarded


def test_only_what_is_wanted_stands_beside(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P)
    arguments = ["--data=Simulated", "--data.patients=40", "--folds=2", "--beside=raw PCA", "--resamples=20"]
    cross_validate.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache"])
    results = json.loads((checkpoint / "cross-validate-simulated" / "results.json").read_text())
    assert list(results["systems"]) == ["pretrained", "raw PCA"]

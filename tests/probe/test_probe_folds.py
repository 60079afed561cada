"""The probe by folds on simulated ECG: everybody is scored, and who was in pretraining is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from checkpoints import fresh_checkpoint
from rescoring import assert_rescored
from torch import Tensor
from toy import Toy

from ssl_ecg import probe
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.estimators.pca import PrincipalComponents
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.probe.command import Probe
from ssl_ecg.report.results import Results, Row, read_results
from ssl_ecg.study.context import Context

P = Preprocessing(leads=("I", "II"), window=5.0)


def of(results: Results, **where: Any) -> dict[str, Row]:
    """Rows by the name of their score, of those that agree with `where`."""
    return {row.score: row for row in results.select(**where)}


def test_all_patients_are_scored_beside_the_baselines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P, (("Simulated", "p00003"), ("Simulated", "p00004")))
    arguments = ["--data=Simulated", "--data.patients=60", "--data.records_per_patient=2", "--folds=3"]
    probe.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache", "--resamples=50"])
    (folder,) = checkpoint.glob("probe-simulated-*")
    results = read_results(folder)
    about = results.about
    assert (about["samples"], about["patients"], about["folds"]) == (120, 60, 3)
    assert about["setting"].startswith("transductive: 2 of the 60 patients were in pretraining")
    assert about["setting"] in capsys.readouterr().out
    systems = about["systems"]
    assert {"pretrained", "untrained", "raw PCA", "hand features"} <= set(systems)
    assert {row.reference for row in results.rows} == {"", *systems} - {"pretrained"}
    assert of(results, system="hand features", reference="")["macro_auroc"].value > 0.7
    assert set(pd.read_csv(folder / "results.csv")["system"]) == set(systems)
    assert (folder / "scores.png").stat().st_size > 5000
    assert_rescored(folder)


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
        probe.main(
            [str(checkpoint), "--data=Simulated", "--folds=2", f"--beside={beside}", f"--cache={tmp_path}/cache"]
        )
    assert message in capsys.readouterr().err


def test_the_test_patients_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P)
    arguments = ["--data=Simulated", "--data.patients=60", "--folds=2", "--beside=raw PCA", "--resamples=20"]
    monkeypatch.setattr(WindowSet, "load", _not_of_the_test_side(WindowSet.load))
    probe.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache", "--validate"])
    (file,) = checkpoint.glob("probe-simulated-*/results.json")
    results = json.loads(file.read_text())
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
    probe.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache"])
    (file,) = checkpoint.glob("probe-simulated-*/results.json")
    results = json.loads(file.read_text())
    assert list(results["systems"]) == ["pretrained", "raw PCA"]


def test_what_reduces_beats_in_stretches_is_fitted_on_the_other_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted_on: list[set[str]] = []
    fit = Context.fit

    def noting(self: Context, encoder: Encoder, train: WindowSet, what: str) -> PrincipalComponents | None:
        fitted_on.append(set(train.patient.tolist()))
        return fit(self, encoder, train, what)

    monkeypatch.setattr(Context, "fit", noting)
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("II", "V1"), window=1.28, normalise="record"))
    settings = {"folds": 3, "windows": "stretches", "beside": ("untrained",), "resamples": 20}
    made = Probe(str(checkpoint), Toy(), cache=str(tmp_path / "cache"), **settings)  # type: ignore[arg-type]
    assert list(made.run().about["systems"]) == ["pretrained", "untrained"]
    assert len(fitted_on) == 6 and all(len(people) == 4 for people in fitted_on)

"""The anomaly command on simulated and real ECG: fitted on what is normal, baselines beside it, strips drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import anomaly
from ssl_ecg.anomaly.detectors import Detector
from ssl_ecg.data.sources import Simulated
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study

P = Preprocessing(leads=("I", "II"), window=5.0)
DATA = ["--data=Simulated", "--data.patients=320", "--data.records_per_patient=1"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anomaly")


@pytest.fixture(scope="module")
def checkpoint(here: Path) -> Path:
    return fresh_checkpoint(here, P)


def test_systems_and_detectors_are_scored_side_by_side(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted: set[int] = set()
    fit = Detector.fit
    monkeypatch.setattr(Detector, "fit", lambda self, x, who: fitted.add(len(x)) or fit(self, x, who))
    arguments = [*DATA, "--normal=NORM,SBRAD", "--beside=raw PCA,hand features", "--resamples=50"]
    anomaly.main([str(checkpoint), *arguments, f"--cache={here}/cache"])
    out = capsys.readouterr().out
    folder = checkpoint / "anomaly-simulated"
    results = json.loads((folder / "results.json").read_text())
    pairs = {(r["system"], r["detector"]) for r in results["results"]}
    detectors = ("kNN distance", "Mahalanobis", "isolation forest", "reconstruction")
    systems = ("pretrained", "raw PCA", "hand features")
    assert pairs == {(s, d) for s in systems for d in detectors} | {("raw signal", "reconstruction")}
    assert max(fitted) == results["normal_train_samples"] <= 320 / 4
    by_hand = next(r for r in results["results"] if r["system"] == "hand features")["scores"]
    assert by_hand["auroc"]["low"] <= by_hand["auroc"]["value"] <= by_hand["auroc"]["high"]
    assert by_hand["auroc"]["value"] > 0.7
    first = results["results"][0]
    assert set(first["versus"]) == {"raw PCA", "hand features"}
    assert "pretrained - hand features, kNN distance: AUROC" in out
    assert "inductive: no test patient was in pretraining" in out
    assert f"Fitted on {results['normal_train_samples']} normal samples (NORM, SBRAD)" in out
    assert set(pd.read_csv(folder / "results.csv")["system"]) == {*systems, "raw signal"}
    for figure in ("roc.png", "detectors.png", "classes.png", "strips.png"):
        assert (folder / figure).stat().st_size > 5000


def test_only_normal_samples_are_fitted_on_and_if_wanted_of_normal_patients(checkpoint: Path, here: Path) -> None:
    study = open_study(checkpoint, Simulated(patients=320, records_per_patient=1), str(here / "cache"))
    mine = anomaly.normal_train(study, ("NORM", "STACH"), False)
    assert set(np.array(study.data.classes)[mine.targets.argmax(axis=1)]) == {"NORM", "STACH"}
    assert not set(mine.patient) & set(study.test.patient)
    # Every patient is of one class: nobody with a normal record has another.
    assert len(anomaly.normal_train(study, ("NORM", "STACH"), True)) == len(mine)
    one = replace(study, train=study.train.where(study.train.patient == mine.patient[0]))
    with pytest.raises(UserError, match=r"fewer than two train patients without any abnormal sample \(NORM\)"):
        anomaly.normal_train(one, ("NORM",), True)


def test_what_cannot_be_done_is_said_at_once(
    checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl_ecg.anomaly.command.open_study", lambda *_: pytest.fail("long work was begun"))
    for arguments, said in (
        ([*DATA, "--normal=N0RM"], "normal classes ['N0RM'] are not among"),
        ([*DATA, "--detectors=knn,knn"], "each of some of knn, mahalanobis, forest, reconstruction once"),
        ([*DATA, "--beside=untraned"], "unknown baseline untraned"),
        ([*DATA, "--components=0"], "components must be at least 1, not 0"),
        ([*DATA, "--resamples=-1"], "resamples must be at least 1, not -1"),
        (["--data=CODE15"], "which class is normal? Set normal to some of 1dAVb"),
    ):
        with pytest.raises(SystemExit):
            anomaly.main([str(checkpoint), *arguments, f"--cache={here}/cache"])
        assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_beats_of_mit_bih_are_scored_with_rr_beside(mitdb: Path, tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(window=1.28, normalise="record"))
    arguments = ["--data=MITBIH", f"--data.root={mitdb}", "--detectors=knn", "--beside=RR alone", "--resamples=50"]
    anomaly.main([str(checkpoint), *arguments, f"--cache={tmp_path}/cache"])
    results = json.loads((checkpoint / "anomaly-mitbih" / "results.json").read_text())
    assert [r["system"] for r in results["results"]] == ["pretrained + RR", "pretrained", "RR alone"]
    assert results["excluded"] == ["202"]
    assert results["normal_train_patients"] == 22
    both, alone, rhythm = (r["scores"] for r in results["results"])
    assert rhythm["auroc"]["value"] == pytest.approx(0.857, abs=0.01)
    assert both["auroc"]["value"] > alone["auroc"]["value"]
    assert {name for name in rhythm if name.startswith("auroc_")} >= {"auroc_S", "auroc_V"}

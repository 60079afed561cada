"""The anomaly command on simulated and real ECG: fitted on what is normal, baselines beside it, strips drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint

from ssl_ecg import anomaly
from ssl_ecg.anomaly.command import normal_train
from ssl_ecg.data.sources import Simulated
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.detectors import Detector
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Results, Row, read_results
from ssl_ecg.study import open_study

P = Preprocessing(leads=("I", "II"), window=5.0)
DATA = ["--data=Simulated", "--data.patients=320", "--data.records_per_patient=1"]


def by_score(results: Results, **where: object) -> dict[str, Row]:
    return {row.score: row for row in results.select(**where)}


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
    devices: list[torch.device] = []
    on = Detector.on
    monkeypatch.setattr(Detector, "on", lambda self, device: devices.append(device) or on(self, device))
    arguments = [*DATA, "--normal=NORM,SBRAD", "--beside=raw PCA,hand features", "--resamples=50", "--device=cpu"]
    folder = here / "out"
    anomaly.main([str(checkpoint), *arguments, f"--cache={here}/cache", f"--out={folder}", "--wandb=offline"])
    out = capsys.readouterr().out
    results = read_results(folder)
    about = results.about
    pairs = {(row.system, row.predictor) for row in results.rows}
    detectors = ("kNN distance", "Mahalanobis", "isolation forest", "reconstruction")
    systems = ("pretrained", "raw PCA", "hand features")
    assert pairs == {(s, d) for s in systems for d in detectors} | {("raw signal", "reconstruction")}
    assert max(fitted) == about["normal_train_samples"] <= 320 / 4
    assert set(devices) == {torch.device("cpu")}
    by_hand = by_score(results, system="hand features", predictor="kNN distance", reference="")["auroc"]
    assert by_hand.low <= by_hand.value <= by_hand.high
    assert by_hand.value > 0.7
    assert {row.reference for row in results.rows if row.system == "pretrained"} == {"", "raw PCA", "hand features"}
    assert {detector: set(of) for detector, of in about["thresholds"].items()} == {
        d: {*systems, "raw signal"} if d == "reconstruction" else set(systems) for d in detectors
    }
    assert "pretrained - hand features, kNN distance: AUROC" in out
    assert "inductive: no test patient was in pretraining" in out
    assert f"Fitted on {about['normal_train_samples']} normal samples (NORM, SBRAD)" in out
    assert [*(folder / "wandb").glob("offline-run-*")]
    for figure in ("roc.png", "detectors.png", "classes.png", "strips.png"):
        assert (folder / figure).stat().st_size > 5000


def test_only_normal_samples_are_fitted_on_and_if_wanted_of_normal_patients(checkpoint: Path, here: Path) -> None:
    study = open_study(checkpoint, Simulated(patients=320, records_per_patient=1), str(here / "cache"))
    mine = normal_train(study, ("NORM", "STACH"), False)
    assert set(np.array(study.data.classes)[mine.targets.argmax(axis=1)]) == {"NORM", "STACH"}
    assert not set(mine.patient) & set(study.test.patient)
    # Every patient is of one class: nobody with a normal record has another.
    assert len(normal_train(study, ("NORM", "STACH"), True)) == len(mine)
    one = replace(study, train=study.train.where(study.train.patient == mine.patient[0]))
    with pytest.raises(UserError, match=r"fewer than two train patients without any abnormal sample \(NORM\)"):
        normal_train(one, ("NORM",), True)


def test_what_cannot_be_done_is_said_at_once(
    checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl_ecg.study.evaluation.open_study", lambda *_: pytest.fail("long work was begun"))
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
    (folder,) = checkpoint.glob("anomaly-mitbih*")
    results = read_results(folder)
    systems = list(dict.fromkeys(row.system for row in results.rows))
    assert systems == ["pretrained + RR", "pretrained", "RR alone"]
    assert {row.subset for row in results.rows} == {"", "without 202", "without 232"}
    assert results.about["normal_train_patients"] == 22
    both, alone, rhythm = (by_score(results, system=system, subset="", reference="") for system in systems)
    assert rhythm["auroc"].value == pytest.approx(0.857, abs=0.01)
    assert both["auroc"].value > alone["auroc"].value
    assert by_score(results, system="RR alone", subset="without 202")["auroc"].value != rhythm["auroc"].value
    assert {name for name in rhythm if name.startswith("auroc_")} >= {"auroc_S", "auroc_V"}

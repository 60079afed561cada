"""The cluster command on real and simulated ECG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import cluster
from ssl_ecg.cluster import Cluster
from ssl_ecg.data.sources import Simulated
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Results, Row, read_results
from ssl_ecg.study.systems import Frozen, HandFeatures

SMALL = ["--data.patients=80", "--data.records_per_patient=3"]
QUICK = ["--resamples=30", "--projection=pca"]


def by_score(results: Results, **where: object) -> dict[str, Row]:
    return {row.score: row for row in results.select(**where)}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def simulated(here: Path) -> Path:
    seen = next(r.patient for r in Simulated(patients=80).recordings() if r.split == "train")
    return fresh_checkpoint(here, Preprocessing(leads=("I", "II"), window=5.0), (("Simulated", seen),))


def test_recordings_are_clustered_in_every_way(simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"--cache={here}/cache", "--k=3", "--wandb=offline", f"--out={here}/every", *QUICK]
    cluster.main([str(simulated), "--data=Simulated", *SMALL, *arguments])
    out = capsys.readouterr().out
    assert "simulated ECG (no heart was involved)" in out
    assert "inductive: no test patient was in pretraining" in out
    folder = here / "every"
    results = read_results(folder)
    ways = ["k-means, k = 3", "k-means, k chosen", "Gaussian mixture", "HDBSCAN", "DBSCAN"]
    assert list(results.about["parameters"]) == list(dict.fromkeys(row.predictor for row in results.rows)) == ways
    for way in ways:
        systems = list(results.about["parameters"][way])
        assert systems[:3] == ["pretrained", "untrained", "raw PCA"]
        compared = {row.reference for row in results.rows if row.predictor == way and row.system == "pretrained"}
        assert compared == {"", *systems} - {"pretrained"}
        score = by_score(results, system="pretrained", predictor=way, reference="")["ami"]
        assert score.low <= score.value <= score.high
        sizes = [group["size"] for group in results.about["clusters"][way]]
        assert sum(sizes) == results.about["samples"]
    assert by_score(results, system="pretrained", predictor=ways[0])["clusters"].value == 3
    assert results.about["not_clustered"] == {}
    table = pd.read_csv(folder / "results.csv")
    assert {"ami", "silhouette", "patient_ami", "patient_purity", "patient_purity_random"} <= set(table["score"])
    assert set(table["data"]) == {"Simulated"}
    figures = ["map.png", "scores.png", "choice.png", "clusters-k-means-k-3.png", "clusters-hdbscan.png"]
    for figure in figures:
        assert (folder / figure).stat().st_size > 5000, figure
    assert [*(folder / "wandb").glob("offline-run-*")]


def test_another_side_can_be_clustered(simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for side in ("train", "all"):
        out = here / side
        arguments = ["--data=Simulated", *SMALL, f"--cache={here}/cache", f"--side={side}", f"--out={out}", *QUICK]
        cluster.main([str(simulated), *arguments, "--k=2", "--methods=[]", "--beside=raw PCA"])
        results = read_results(out)
        sizes[side] = results.about["samples"]
        assert results.about["setting"] == "1 of the patients were in pretraining"
        assert {row.subset for row in results.rows} == {f"{side} patients"}
        assert not (out / "choice.png").exists()
    assert sizes["train"] < sizes["all"] <= 240


@pytest.mark.parametrize("collapsed", ["hand features", "pretrained"])
def test_a_system_whose_samples_coincide_is_named_and_the_others_go_on(
    collapsed: str, simulated: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cls = HandFeatures if collapsed == "hand features" else Frozen
    real = cls.features

    def coinciding(self, windows):
        x = real(self, windows)
        return np.full_like(x, 0.3) if self.name == collapsed else x

    monkeypatch.setattr(cls, "features", coinciding)
    out = here / collapsed
    Cluster(
        str(simulated), Simulated(patients=80, records_per_patient=3), cache=f"{here}/cache", out=str(out),
        beside=["untrained", "hand features"], methods=("kmeans", "dbscan"), k=(3,), resamples=20, projection="pca",
    ).run()  # fmt: skip
    results = read_results(out)
    assert {row.system for row in results.rows} == {"pretrained", "untrained", "hand features"} - {collapsed}
    said = f"Not clustered: {collapsed}: all 48 samples coincide (the features differ by rounding alone"
    assert said in capsys.readouterr().out
    assert list(results.about["not_clustered"]) == [collapsed]
    assert (out / "map.png").exists() == (collapsed != "pretrained")
    assert {row.reference for row in results.rows} == {""} | ({"untrained"} if collapsed != "pretrained" else set())


def test_a_way_that_finds_no_clusters_is_named_and_the_others_go_on(
    simulated: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_points(self, windows):
        return np.eye(2, dtype=np.float32)[(windows.label > 3).astype(int)]

    monkeypatch.setattr(HandFeatures, "features", two_points)
    data, cache = Simulated(patients=80, records_per_patient=3), f"{here}/cache"
    given = {"cache": cache, "beside": ["hand features"], "resamples": 20, "projection": "pca"}
    found = Cluster(str(simulated), data, methods=("dbscan", "kmeans"), k=(2, 3), out=f"{here}/two", **given).run()
    assert found.about["not_clustered"] == {
        "hand features, k-means, k = 3": "the number of clusters must be from 2 to the 2 different samples, not 3",
        "hand features, DBSCAN": "DBSCAN finds no radius: most samples coincide (only 2 of 48 fitted samples differ)",
    }
    assert {row.predictor for row in found.rows if row.system == "hand features"} == {
        "k-means, k = 2",
        "k-means, k chosen",
    }
    assert list(dict.fromkeys(row.predictor for row in found.rows))[:2] == ["k-means, k = 2", "k-means, k = 3"]
    monkeypatch.setattr(Frozen, "features", two_points)
    with pytest.raises(UserError, match="nothing could be clustered: hand features, DBSCAN: DBSCAN finds no radius"):
        Cluster(str(simulated), data, methods=("dbscan",), k=(), out=f"{here}/none", **given).run()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--k=1"], "k must be 2 or more"),
        (["--k=[]", "--methods=[]"], "nothing to do"),
        (["--fit_on=3"], "8 samples to fit_on and 2 dims, got 3 and 32"),
        (["--device=toaster"], "there is no device 'toaster' here"),
    ],
)
def test_what_cannot_be_done_is_refused(
    simulated: Path, here: Path, wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cluster.main([str(simulated), "--data=Simulated", *SMALL, f"--cache={here}/cache", *wrong])
    assert stop.value.code == 1
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_beats_of_mit_bih_are_clustered_by_rhythm_better_than_by_chance(mitdb: Path, tmp_path: Path) -> None:
    run = fresh_checkpoint(tmp_path, Preprocessing(window=1.28, normalise="record"))
    arguments = ["--data=MITBIH", f"--data.root={mitdb}", f"--cache={tmp_path}/cache", "--methods=[]", *QUICK]
    cluster.main([str(run), *arguments, f"--out={tmp_path}/out", "--beside=RR alone"])
    results = read_results(tmp_path / "out")
    for way in ("k-means, k = 4", "k-means, k = 16"):
        rhythm = by_score(results, system="RR alone", predictor=way)
        assert 0.15 < rhythm["nmi"].value < 0.3  # as measured before
        assert rhythm["within"].value > 0.4
        assert rhythm["patient_purity"].value > 1.5 * rhythm["patient_purity_random"].value

"""The cluster command on real and simulated ECG."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ssl_ecg import cluster, pretrain

SMALL = ["--data.patients=80", "--data.records_per_patient=3"]
QUICK = ["--resamples=30", "--projection=pca"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def simulated(here: Path) -> Path:
    tiny = ["--method.encoder.width=4", "--method.encoder.stages=2", "--batch_size=16", "--trainer.max_epochs=1"]
    pretrain.main([*SMALL, *tiny, f"--out={here}/runs", f"--cache={here}/cache", "--name=simulated"])
    return here / "runs" / "simulated"


def test_recordings_are_clustered_in_every_way(simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.main([str(simulated), "--data=Simulated", *SMALL, f"--cache={here}/cache", "--k=3", *QUICK])
    out = capsys.readouterr().out
    assert "simulated ECG (no heart was involved)" in out
    assert "inductive: no test patient was in pretraining" in out
    folder = simulated / "cluster-simulated"
    results = json.loads((folder / "results.json").read_text())
    ways = ["k-means, k = 3", "k-means, k chosen", "Gaussian mixture", "HDBSCAN", "DBSCAN"]
    assert list(results["ways"]) == ways
    for way in ways:
        systems = results["ways"][way]
        assert list(systems)[:3] == ["pretrained", "untrained", "raw PCA"]
        assert set(systems["pretrained"]["versus"]) == set(systems) - {"pretrained"}
        score = systems["pretrained"]["scores"]["ami"]
        assert score["low"] <= score["value"] <= score["high"]
        assert sum(group["size"] for group in results["clusters"][way]) == results["samples"]
    assert results["ways"][ways[0]]["pretrained"]["clusters"] == 3
    table = pd.read_csv(folder / "results.csv")
    assert {"ami", "ami_low", "patient_ami", "patient_purity", "patient_purity_random"} <= set(table.columns)
    figures = ["map.png", "scores.png", "choice.png", "clusters-k-means-k-3.png", "clusters-hdbscan.png"]
    for figure in figures:
        assert (folder / figure).stat().st_size > 5000, figure


def test_another_side_can_be_clustered(simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for side in ("train", "all"):
        out = here / side
        arguments = ["--data=Simulated", *SMALL, f"--cache={here}/cache", f"--side={side}", f"--out={out}", *QUICK]
        cluster.main([str(simulated), *arguments, "--k=2", "--methods=[]"])
        results = json.loads((out / "results.json").read_text())
        sizes[side] = results["samples"]
        assert "of the patients were in pretraining" in results["setting"]
        assert not (out / "choice.png").exists()
    assert sizes["train"] < sizes["all"] <= 240


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--k=1"], "k must be 2 or more"),
        (["--k=[]", "--methods=[]"], "nothing to do"),
        (["--fit_on=3"], "8 samples to fit_on and 2 dims, got 3 and 32"),
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
def test_beats_of_mit_bih_are_clustered_by_rhythm_better_than_by_chance(mitdb: Path, here: Path) -> None:
    recipe = Path(__file__).parents[2] / "experiments" / "recipes" / "simclr_mitbih.yaml"
    pretrain.main(
        [
            f"--config={recipe}",
            f"--data.root={mitdb}",
            "--method.encoder.width=4",
            "--windows=Sliding",
            "--windows.stride=20",
            "--batch_size=64",
            "--trainer.max_epochs=1",
            f"--out={here}/runs",
            f"--cache={here}/cache",
        ]
    )
    run = here / "runs" / "simclr-mitbih"
    arguments = ["--data=MITBIH", f"--data.root={mitdb}", f"--cache={here}/cache", "--methods=[]", *QUICK]
    cluster.main([str(run), *arguments])
    results = json.loads((run / "cluster-mitbih" / "results.json").read_text())
    for way in ("k-means, k = 4", "k-means, k = 16"):
        rhythm = results["ways"][way]["RR alone"]
        assert 0.15 < rhythm["scores"]["nmi"]["value"] < 0.3  # as measured before
        assert rhythm["scores"]["within"]["value"] > 0.4
        assert rhythm["patient"]["purity"] > 1.5 * rhythm["patient"]["purity_random"]

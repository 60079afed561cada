"""The few-label command: methods beside baselines at every share of the labels, drawn by patient, on no test label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import few_label
from ssl_ecg.data.sources import Simulated
from ssl_ecg.preprocessing import Preprocessing

TINY = ["--data=Simulated", "--data.patients=60", "--data.records_per_patient=2", "--resamples=20", "--seeds=2"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("few")


@pytest.fixture(scope="module")
def checkpoint(here: Path) -> Path:
    return fresh_checkpoint(here / "fresh", Preprocessing(leads=("II", "V1")))


def given(checkpoint: Path, here: Path, *more: str) -> list[str]:
    return [str(checkpoint), *TINY, f"--cache={here}/cache", *more]


def test_every_method_stands_beside_the_untrained_encoder_and_raw_pca(
    checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_label.main(given(checkpoint, here, "--fractions=0.2,1"))
    out = capsys.readouterr().out
    assert "simulated ECG (no heart was involved)" in " ".join(out.split())
    assert "Inductive: no test patient was in pretraining" in out
    folder = checkpoint / "few-label-simulated"
    results = json.loads((folder / "results.json").read_text())
    found = {(cell["system"], cell["method"], cell["fraction"]): cell for cell in results["cells"]}
    assert set(found) == {
        (system, method, share)
        for system in ("pretrained", "untrained", "raw PCA")
        for method in few_label.METHODS
        for share in (0.2, 1.0)
    }
    for (_, _, share), cell in found.items():
        area, single = cell["scores"]["macro_auroc"], cell["scores"]["auroc_NORM"]
        assert single["low"] <= single["high"]  # too few patients have the rarest classes for the average to have any
        draws = [draw["macro_auroc"] for draw in cell["draws"]]
        assert len(draws) == (2 if share < 1 else 1)  # all labels are one draw
        assert area["value"] == pytest.approx(np.mean(draws))
        assert (cell["sd"]["macro_auroc"] is None) == (share == 1)
        assert cell["patients"] == (9 if share < 1 else 44)
    table = pd.read_csv(folder / "results.csv")
    assert set(table["method"]) == set(few_label.METHODS)
    for figure in ("results-auroc.png", "results-f1.png"):
        assert (folder / figure).stat().st_size > 5000


def test_validation_never_looks_at_the_test_set(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ssl_ecg.study import open_study

    def without_test(*given: object) -> object:
        study = open_study(*given)
        object.__setattr__(study, "test", None)
        return study

    monkeypatch.setattr("ssl_ecg.few_label.command.open_study", without_test)
    few_label.main(given(checkpoint, here, "--validate", "--methods=kNN", "--fractions=1", f"--out={here}/validated"))
    assert "The test set was not touched" in capsys.readouterr().out
    assert (here / "validated" / "validation.json").exists()
    assert not (here / "validated" / "results.json").exists()


def test_whoever_taught_the_encoder_is_neither_scored_nor_few(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fine-tuned on all train patients, it may be scored on the test patients with all labels, and on nothing else."""
    everyone = Simulated(patients=60, records_per_patient=2).recordings()
    taught = tuple(sorted({("Simulated", r.patient) for r in everyone if r.split != "test"}))
    place = fresh_checkpoint(here / "taught", Preprocessing(leads=("II", "V1")), taught, taught)
    more = ["--methods=kNN", f"--out={here}/taught-out"]
    for refused in (["--validate", "--fractions=1"], ["--fractions=0.5,1"]):
        with pytest.raises(SystemExit):
            few_label.main(given(place, here, *more, *refused))
        assert "fine-tuned on the labels of" in capsys.readouterr().err
    few_label.main(given(place, here, *more, "--fractions=1"))
    assert (here / "taught-out" / "results.json").exists()


def test_classes_that_do_not_exclude_each_other(shared_data: Path, here: Path) -> None:
    root = shared_data / "ptb-xl"
    if not (root / "ptbxl_database.csv").exists():
        pytest.skip(f"no PTB-XL in {root}")
    place = fresh_checkpoint(here / "twelve", Preprocessing(leads=("I", "V2"), window=2.5))
    arguments = [str(place), "--data=PTBXL", f"--data.root={root}", f"--cache={here}/cache", "--resamples=20"]
    few_label.main([*arguments, "--fractions=0.01", "--seeds=2", f"--out={here}/multi"])
    results = json.loads((here / "multi" / "results.json").read_text())
    assert {cell["patients"] for cell in results["cells"]} == {16}  # of both, train and validation split, one in 100
    for cell in results["cells"]:
        assert {"macro_auroc", "macro_f1", "auroc_NORM"} <= set(cell["scores"])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["--methods=magic"],
            1,
            "methods must be some of kNN, linear probe, label spreading, self-training, not magic",
        ),
        (["--fractions=0"], 1, "fractions of the labels"),
        (["--fractions=2"], 1, "fractions of the labels"),
        (["--seeds=0"], 1, "seeds must be at least 1"),
        (["--out=/proc/nowhere"], 1, "/proc/nowhere"),
        (["--fraction=1"], 2, "fractions"),
    ],
)
def test_bad_settings_are_said(
    checkpoint: Path, here: Path, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        few_label.main(given(checkpoint, here, *arguments))
    err = capsys.readouterr().err
    assert stop.value.code == code, err
    assert says in err

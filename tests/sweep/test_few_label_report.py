"""The report of few labels: means over draws, their spread, and differences on the same patients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ssl_ecg.few_label.report import FewLabelResult, efficiency_curves, write_few_label
from ssl_ecg.metrics.bootstrap import PatientBootstrap

CLASSES = ("N", "V")


def results() -> list[FewLabelResult]:
    rng = np.random.default_rng(0)
    y, patients = rng.integers(2, size=60), np.repeat([f"p{i}" for i in range(12)], 5)
    bootstrap = PatientBootstrap(y, patients, CLASSES, n_resamples=30)

    def runs(count: int, noise: float) -> list:
        found = []
        for _ in range(count):
            p = np.clip(y + noise * rng.normal(size=60), 0, 1)
            found.append(bootstrap.resample(np.stack([1 - p, p], axis=1), np.array([0.5, 0.5])))
        return found

    return [
        FewLabelResult(system, method, share, patients, runs(count, noise), [{"k": 5.0}] * count)
        for system, noise in (("pretrained", 0.4), ("untrained", 0.9))
        for method in ("kNN", "self-training")
        for share, patients, count in ((0.1, 3, 4), (1.0, 30, 1))
    ]


def test_a_result_is_the_mean_of_its_draws_with_their_spread() -> None:
    result, whole = results()[:2]
    values = [run.values["macro_auroc"] for run in result.runs]
    assert result.intervals["macro_auroc"].value == pytest.approx(np.mean(values))
    assert result.spread("macro_auroc") == pytest.approx(np.std(values, ddof=1))
    assert np.isnan(whole.spread("macro_auroc"))


def test_tables_files_and_differences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_few_label(tmp_path, results(), kind="real ECG", setting="inductive", about={"too_few": ["F"]})
    out = capsys.readouterr().out
    assert "macro AUROC of test patients" in out
    assert "10 % (3)" in out and "100 % (30)" in out and "sd 10 %" in out
    assert "sd 100 %" not in out
    assert "Not scored, because too few test patients have or lack them: F" in out
    assert "kNN, pretrained - untrained" in out
    document = json.loads((tmp_path / "results.json").read_text())
    assert len(document["cells"]) == 8
    assert [draw["setting"] for draw in document["cells"][0]["draws"]] == [{"k": 5.0}] * 4
    (line,) = [v for v in document["versus"] if (v["method"], v["fraction"]) == ("kNN", 0.1)]
    scores = {c["system"]: c["scores"] for c in document["cells"] if (c["method"], c["fraction"]) == ("kNN", 0.1)}
    apart = scores["pretrained"]["macro_auroc"]["value"] - scores["untrained"]["macro_auroc"]["value"]
    assert line["macro_auroc"]["value"] == pytest.approx(apart)
    table = pd.read_csv(tmp_path / "results.csv")
    assert set(table["draws"]) == {1, 4}
    assert {"results-auroc.png", "results-f1.png"} < {path.name for path in tmp_path.iterdir()}


def test_curves_have_a_panel_a_method_and_axes_that_say_what_they_are() -> None:
    figure = efficiency_curves(results(), "macro_auroc", "macro AUROC")
    assert [axes.get_title() for axes in figure.axes] == ["kNN", "self-training"]
    assert all(axes.get_xlabel() == "labelled patients (share)" for axes in figure.axes)
    assert figure.axes[0].get_ylabel() == "macro AUROC"
    assert [label.get_text() for label in figure.legends[0].get_texts()] == ["pretrained", "untrained"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["3\n(10 %)", "30\n(100 %)"]

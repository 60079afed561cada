"""The learning curves of fine-tuning: what each axis says, the best epoch ringed, the frozen probe as a level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_ecg.finetune.report import learning_curves, write_finetuning
from ssl_ecg.finetune.training import Model
from ssl_ecg.study.benchmark import Benchmark, Labels

HISTORY = [{"epoch": i, "loss": 1 / (i + 1), "val_auroc": area} for i, area in enumerate((0.6, 0.9, 0.8))]


def test_curves_show_loss_and_validation_with_the_best_epoch_ringed() -> None:
    figure = learning_curves({"fine-tuned": HISTORY, "from scratch": HISTORY[::-1]}, {"frozen linear probe": 0.7})
    loss, area = figure.axes
    assert loss.get_ylabel() == "training loss (nats)"
    assert area.get_ylabel() == "macro AUROC, validation patients"
    assert loss.get_xlabel() == area.get_xlabel() == "epoch"
    names = [label.get_text() for label in figure.legends[0].get_texts()]
    assert names == ["fine-tuned", "from scratch", "frozen linear probe"]
    rings = [line.get_xydata().tolist() for line in area.lines if line.get_markerfacecolor() == "none"]
    assert rings == [[[2, 0.9]], [[2, 0.9]]]
    assert any(set(line.get_ydata()) == {0.7} for line in area.lines)


@pytest.mark.parametrize("people", [12, 4])
def test_what_is_announced_is_there_and_nothing_is_left_of_an_earlier_scoring(
    people: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four patients no class can be scored: there is no figure of classes then, and no old one either."""
    rng = np.random.default_rng(0)
    y, patients = rng.random((60, 2)) < 0.5, np.repeat([f"p{i}" for i in range(people)], 60 // people)
    test = Labels(y, patients, patients)
    p = rng.random((60, 2))
    models = [Model(system, 0.9, lambda _: p, np.array([0.5, 0.5]), 2, HISTORY) for system in ("fine-tuned", "other")]
    benchmark = Benchmark(test, test, ("N", "V"), resamples=20)
    scored = [benchmark.scored(model.system, p, model.decision) for model in models]
    (tmp_path / "classes.png").write_text("of an earlier scoring")
    write_finetuning(
        tmp_path,
        models,
        scored,
        where={"data": "Mine"},
        about={"title": "title", "setting": "inductive"},
        test=test,
        classes=("N", "V"),
    )
    said = " ".join(capsys.readouterr().out.split()).split("Written to ")[1].split(": ")[1].split(", ")
    assert {*said} == {f.name for f in tmp_path.iterdir()}
    assert ("classes.png" in said) == (people > 4)

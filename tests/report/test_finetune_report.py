"""The learning curves of fine-tuning: what each axis says, the best epoch ringed, the frozen probe as a level."""

from __future__ import annotations

from ssl_ecg.report.finetune import learning_curves

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

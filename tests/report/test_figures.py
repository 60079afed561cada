import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import class_dots, confusion_figure, embedding_map, probe_bars, save
from ssl_ecg.report.training_curves import training_curves

CLASSES = ("N", "S", "V")


def words(figure):
    """All that is written in a figure."""
    from matplotlib.text import Text

    figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_visible())


def study(n=500):
    rng = np.random.default_rng(0)
    y = rng.choice(3, n, p=[0.9, 0.08, 0.02])
    return rng.normal(size=(n, 6)) + np.eye(3, 6)[y], y, rng.integers(0, 7, n).astype(str)


def test_confusion_has_counts_and_shares():
    written = words(confusion_figure(np.array([0] * 1500 + [1, 1]), np.array([0] * 1500 + [1, 0]), CLASSES, title="us"))
    for part in ("100.0 %", "50.0 %", "1,500", "S\n(2)", "V\n(0)", "predicted class", "us"):
        assert part in written
    with pytest.raises(UserError):
        confusion_figure(np.array([0, 5]), np.array([0, 0]), CLASSES)


def test_what_has_no_interval_is_drawn_as_a_dot():
    alone = {"macro_auroc": Interval(0.8, math.nan, math.nan, 600), "auroc_N": Interval(0.7, math.nan, math.nan, 600)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "0.800" in words(probe_bars({"us": alone}))
        figure = class_dots({"us": alone}, {"N": 4})
        figure.canvas.draw()
    assert figure.axes[0].lines[0].get_xdata() == [0.7]


def test_map_shows_classes_beside_patients():
    x, y, patients = study()
    written = words(embedding_map(x, y, CLASSES, patients))
    counts = np.bincount(y)
    for part in ("by class", "by patient (7", "component", f"N ({counts[0]})", f"V ({counts[2]})"):
        assert part in written
    with pytest.raises(UserError):
        embedding_map(x, y[:5], CLASSES, patients)


def test_map_of_many_points_keeps_the_rare_ones():
    x, y, patients = study(5000)
    by_class = embedding_map(x, y, CLASSES, patients, max_points=600).axes[0]
    drawn = {c.get_label().partition(" ")[0]: len(c.get_offsets()) for c in by_class.collections}
    assert sum(drawn.values()) == 600
    assert drawn["V"] == (y == 2).sum()


def test_map_draws_what_is_no_class_in_grey_and_below():
    x, y, patients = study()
    by_class = embedding_map(x, y, CLASSES, patients, grey=("N",)).axes[0]
    first, *others = by_class.collections
    assert first.get_label().startswith("N ")
    red, green, blue = first.get_facecolor()[0, :3]
    assert red == green == blue
    assert all(len(set(mine.get_facecolor()[0, :3])) > 1 for mine in others)


def test_every_class_has_a_row_and_every_system_a_dot_in_it():
    systems = {
        "pretrained": {"auroc_MI": Interval(0.7, 0.6, 0.8), "auroc_HYP": Interval(0.9, 0.85, 0.95)},
        "untrained": {"auroc_MI": Interval(0.6, 0.5, 0.7), "auroc_HYP": Interval(0.8, 0.7, 0.9)},
    }
    figure = class_dots(systems, {"MI": 1200, "HYP": 7})
    written = words(figure)
    for part in ("HYP (7)", "MI (1,200)", "pretrained", "untrained", "AUROC and 95 %"):
        assert part in written
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["HYP (7)", "MI (1,200)"]  # the best on top
    dots = {line.get_label(): line for line in axes.lines if line.get_marker() in "o^"}
    assert dots["pretrained"].get_xdata().tolist() == [0.9, 0.7]
    assert (dots["pretrained"].get_ydata() < dots["untrained"].get_ydata()).all()
    for bad in ({}, {"STTC": 3}):
        with pytest.raises(UserError, match="expected the AUROC of each class"):
            class_dots(systems, bad)


@pytest.mark.parametrize("shape", [(30, 1), (1, 4)])
def test_map_of_little(shape):
    embedding_map(np.ones(shape), np.zeros(shape[0], dtype=int), CLASSES, np.zeros(shape[0]))


def test_bars_show_every_system_and_score():
    systems = {
        "pretrained": {"macro_auroc": Interval(0.9, 0.85, 0.95), "macro_f1": Interval(0.5, 0.4, 0.6)},
        "untrained": {"macro_auroc": Interval(0.8, 0.7, 0.86), "macro_f1": Interval(math.nan, math.nan, math.nan)},
    }
    figure = probe_bars(systems)
    written = words(figure)
    for part in ("pretrained", "untrained", "macro AUROC", "macro F1", "0.900", "0.800", "0.500", "95 %"):
        assert part in written
    assert len(figure.axes) == 2
    assert len(probe_bars(systems, {"macro_f1": "F1"}).axes) == 1
    with pytest.raises(UserError, match="no system"):
        probe_bars(systems, {"accuracy": "accuracy"})


def test_curves_make_a_panel_for_each_kind_of_number():
    history = [
        {"step": 10 * i, "loss": 1 / i, "spread": 0.9, "knn_auroc": math.nan if i % 2 else 0.7} for i in range(1, 9)
    ]
    figure = training_curves(history)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title().partition(" ")[0] for axes in shown] == ["loss", "online", "spread"]
    assert len(shown[1].lines[0].get_xdata()) == 4
    assert "optimiser step" in words(figure)
    assert training_curves(history[:1]) is not None
    with pytest.raises(UserError, match="'step'"):
        training_curves([{"loss": 1.0}])
    with pytest.raises(UserError, match="nothing to draw"):
        training_curves([{"step": 1.0, "lr": 1.0}])


def test_a_long_log_is_drawn_with_its_running_mean():
    axes = training_curves([{"step": i, "loss": math.sin(i)} for i in range(500)]).axes[0]
    raw, smooth = axes.lines
    assert np.ptp(smooth.get_ydata()) < 0.5 * np.ptp(raw.get_ydata())


@pytest.mark.parametrize("name", ["figure.png", "figure.pdf", "figure.svg"])
def test_saved_whole(tmp_path, name):
    save(training_curves([{"step": 1, "loss": 1.0}]), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 1000


def test_matplotlib_waits_until_a_figure_is_made():
    code = (
        "import sys;"
        "from ssl_ecg.report import figures, results, tables, training_curves;"
        "print({'matplotlib', 'rich', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

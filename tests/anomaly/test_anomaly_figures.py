import numpy as np
import pytest
from checkpoints import fresh_checkpoint
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.anomaly.benchmark import Detection
from ssl_ecg.anomaly.figures import class_dots, detector_dots, most_anomalous, roc_figure, strips_figure
from ssl_ecg.data.sources import Simulated
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study


def detection(scores=(), threshold=0.0, intervals=None):
    """What the figures read of a detection."""
    scores = np.asarray(scores, dtype=float)
    return Detection("us", "kNN distance", scores, scores, scores > 0, threshold, intervals or {})


def words(figure):
    from matplotlib.text import Text

    figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_visible())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=40), st.integers(1, 15))
def test_the_most_anomalous_are_of_as_many_patients_as_there_are(samples, n):
    patients, scores = (np.array(x) for x in zip(*samples, strict=True))
    chosen = most_anomalous(scores.astype(float), patients, n)
    assert len(chosen) == len(set(chosen.tolist())) == min(n, len(scores))
    assert (np.diff(scores[chosen]) <= 0).all()
    counts = np.bincount(patients[chosen], minlength=6)
    there = np.bincount(patients, minlength=6)
    assert counts.max() - np.where(counts < there, counts, 99).min() <= 1  # nobody twice while another is left out
    for who in set(patients[chosen].tolist()):
        mine = np.sort(scores[chosen][patients[chosen] == who])
        assert mine.tolist() == np.sort(scores[patients == who])[-len(mine) :].tolist()


def test_curves_show_where_the_threshold_lies():
    rng = np.random.default_rng(0)
    normal = np.arange(400) < 300
    good = rng.normal(size=400) + 2.0 * ~normal
    systems = {"us": detection(good, 1.5), "them": detection(rng.normal(size=400), 1.0)}
    figure = roc_figure(systems, normal, title="here")
    written = words(figure)
    for part in ("us", "them", "chance", "95 % specificity", "here", "(%) = sensitivity"):
        assert part in written
    markers = [line.get_xydata()[0] for line in figure.axes[0].lines if len(line.get_xydata()) == 1]
    assert markers[0] == pytest.approx([100 * (good[normal] > 1.5).mean(), 100 * (good[~normal] > 1.5).mean()])


def test_dots_name_systems_detectors_and_classes():
    scores = {f"{what}{of}": Interval(0.7, 0.6, 0.8) for what in ("auroc", "sensitivity_95") for of in ("", "_S", "_V")}
    found = detection(intervals=scores)
    written = words(detector_dots({"kNN distance": {"us": found, "them": found}, "reconstruction": {"us": found}}))
    for part in ("kNN distance", "reconstruction", "us", "them", "AUROC", "sensitivity at 95 % specificity"):
        assert part in written
    written = words(class_dots({"us": found, "them": found}, {"S": 1837, "V": 3220}))
    for part in ("S (1,837)", "V (3,220)", "us", "them"):
        assert part in written


@pytest.mark.parametrize("unit", ["mV", "SD"])
def test_strips_say_what_whose_and_how_anomalous(tmp_path, unit, monkeypatch):
    monkeypatch.setattr(Simulated, "amplitude_unit", unit)
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=5.0))
    study = open_study(checkpoint, Simulated(patients=40, records_per_patient=1), str(tmp_path / "cache"))
    scores = np.arange(len(study.test), dtype=float)
    figure = strips_figure(study.test, detection(scores, scores[-2]), title="here")
    written = words(figure)
    last = len(scores) - 1
    name = study.data.classes[study.test.label[last]]
    assert f"{name}   record {study.test.record[last]}, 0:02.5 min, score {last} (no. 1)" in written
    assert written.count("below the threshold") == len(scores) - 1
    for part in (f"II ({unit})", "here"):
        assert part in written

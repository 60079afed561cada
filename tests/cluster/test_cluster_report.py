"""Figures of clusters, and what they say in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy

from ssl_ecg.cluster.clustering import METHODS, Clustering, dbscan, kmeans
from ssl_ecg.cluster.contents import composition, draw_beats, draw_strips
from ssl_ecg.cluster.figures import choice_figure, cluster_map, scores_figure
from ssl_ecg.cluster.scores import ClusterBenchmark
from ssl_ecg.cluster.space import make_space
from ssl_ecg.data.build import build
from ssl_ecg.data.windows import BeatCentred, WindowSet
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study.benchmark import Labels

CLASSES = ("N", "V")


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> WindowSet:
    p = Preprocessing(window=1.0, highpass=0, lowpass=0)
    store = build(Toy(), p, tmp_path_factory.mktemp("store"))
    return WindowSet(store, p, BeatCentred().index(store, p.samples))


@pytest.fixture(scope="module")
def space(windows):
    rng = np.random.default_rng(0)
    return make_space(4 * np.eye(3)[windows.label + 1] + rng.normal(size=(len(windows), 3)), windows.patient)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def texts(figure):
    return [axes.get_title() for axes in panels(figure)]


def test_composition_counts_classes_and_people_and_puts_noise_last():
    clusters = np.array([0, 0, 0, 1, 1, -1])
    found = composition(clusters, np.array([0, 1, 1, 0, 0, 1]), CLASSES, np.array([*"aabccc"]))
    assert [group["cluster"] for group in found] == [0, 1, -1]
    assert found[0]["classes"] == {"V": pytest.approx(2 / 3), "N": pytest.approx(1 / 3)}
    assert (found[0]["patients"], found[0]["commonest_patient"]) == (2, "a")
    assert found[1]["patient_purity"] == 1
    assert sum(group["size"] for group in found) == 6


def test_the_map_has_a_panel_for_class_patient_and_every_way(space, windows):
    ways = {"k = 2": kmeans(space, 2), "k = 9": kmeans(space, 9), "DBSCAN": dbscan(space)}
    for projection, axis in (("pca", "principal component 1"), ("tsne", "t-SNE 1")):
        made = cluster_map(space, ways, windows.label, CLASSES, windows.patient, projection=projection)
        titles = texts(made)
        assert titles[:4] == ["by class", "by patient (6, a colour each)", "k = 2: 2", "k = 9: 9"]
        assert titles[4].startswith("DBSCAN: ")
        assert any(axes.get_xlabel().startswith(axis) for axes in panels(made))
        drawn = panels(made)[2].collections[-1].get_offsets()
        assert len(drawn) == len(space.judged)


def test_a_cluster_is_drawn_as_the_median_of_its_beats(windows):
    clusters = np.where(windows.label == 1, 0, 1)
    found = Clustering("k-means", clusters, {"k": 2}, "given")
    made = draw_beats(found, windows, windows.label, CLASSES, title="two clusters")
    assert [title.split("\n")[0] for title in texts(made)] == [
        f"1: {(clusters == 0).sum()} beats, V 100 %",
        f"2: {(clusters == 1).sum()} beats, N 100 %",
    ]
    line = panels(made)[0].lines[0]
    beats = np.concatenate([x.numpy() for x in windows.where(clusters == 0).conditioned()])[:, 0]
    assert len(beats) <= 500
    np.testing.assert_allclose(line.get_ydata(), np.median(beats, axis=0), atol=1e-6)
    assert line.get_xdata()[50] == 0  # the R peak
    assert panels(made)[0].get_ylabel() == "II (mV)"
    assert panels(made)[1].get_xlabel() == "s from the R peak"


def test_strips_are_the_nearest_to_the_centre_and_two_farther_ones(space, windows):
    found = kmeans(space, 2)
    made = draw_strips(space, found, windows, windows.label, CLASSES)
    mine = np.flatnonzero(found.labels == 0)
    nearest = mine[np.linalg.norm(space.x[mine] - space.x[mine].mean(axis=0), axis=1).argmin()]
    first, *others = panels(made)[0].lines
    shown = next(windows[torch.tensor([nearest])].conditioned())[0, 0].numpy()
    np.testing.assert_allclose(first.get_ydata(), shown, atol=1e-6)
    assert len(others) == 2


def test_amplitudes_have_the_unit_of_the_store(space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Toy, "amplitude_unit", "SD")
    p = Preprocessing(window=1.0, highpass=0, lowpass=0)
    store = build(Toy(), p, tmp_path)
    windows = WindowSet(store, p, BeatCentred().index(store, p.samples))
    found = kmeans(space, 2)
    everything = windows, windows.label, CLASSES
    for made in (draw_beats(found, *everything), draw_strips(space, found, *everything)):
        assert panels(made)[0].get_ylabel().startswith("II (SD)")


def test_only_the_largest_clusters_are_drawn_and_that_is_said(windows):
    many = Clustering("k-means", np.arange(len(windows)) % 30, {"k": 30}, "given")
    made = draw_beats(many, windows, windows.label, CLASSES, title="many")
    assert len(panels(made)) == 24
    assert "the 24 largest of 30 clusters" in made.get_suptitle()
    noise = Clustering("DBSCAN", np.full(len(windows), -1), {}, "elbow")
    assert texts(draw_beats(noise, windows, windows.label, CLASSES))[0].startswith("noise: ")


def test_the_choice_is_marked_where_it_fell(space):
    found = [method(space) for method in METHODS.values()]
    made = choice_figure(found)
    legends = [axes.get_legend().get_texts() for axes in made.axes if axes.get_legend()]
    marked = [text.get_text() for legend in legends for text in legend if text.get_text().startswith("chosen")]
    assert len(marked) == 4
    assert marked[0] == f"chosen: {found[0].n_clusters}"
    assert any("distance to the 10th nearest" in axes.get_ylabel() for axes in made.axes)


def test_scores_of_class_and_patient_stand_side_by_side(space, windows, tmp_path: Path):
    labels = Labels(windows.label, windows.patient, windows.record)
    benchmark = ClusterBenchmark(labels, CLASSES, resamples=20)
    by_way = {
        f"k = {k}": {name: benchmark.score(name, f"k = {k}", kmeans(space, k), 0.3) for name in ("ours", "raw PCA")}
        for k in (2, 3)
    }
    made = scores_figure(by_way)
    assert texts(made) == ["k = 2", "k = 3"]
    assert [text.get_text() for text in made.legends[0].get_texts()] == [
        "class",
        "class, within each patient",
        "patient",
    ]
    assert [tick.get_text() for tick in made.axes[0].get_yticklabels()] == ["ours", "raw PCA"]

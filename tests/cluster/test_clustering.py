"""Clusters, and how their number is chosen, on points whose clusters are known."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ssl_ecg.cluster import clustering
from ssl_ecg.cluster.clustering import METHODS, dbscan, gaussian_mixture, hdbscan, kmeans
from ssl_ecg.cluster.space import make_space
from ssl_ecg.errors import UserError


def blobs(n=1200, k=4, d=6, patients=20, seed=0):
    """Points (n, d) around k centres, their centres (n,) and patients (n,), who have some of each."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, k, n)
    centres = 8 * np.eye(k, d)
    return centres[which] + rng.normal(size=(n, d)), which, np.char.add("p", rng.integers(0, patients, n).astype(str))


@pytest.mark.parametrize("method", METHODS)
def test_clusters_that_are_there_are_found_without_being_told_how_many(method, monkeypatch):
    monkeypatch.setattr(clustering, "COUNTS", (2, 3, 4, 6, 8))
    x, truth, patients = blobs()
    found = METHODS[method](make_space(x, patients))
    assert found.n_clusters == 4
    inside = found.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.labels[inside]) > 0.98
    assert found.chosen in found.candidates
    assert (np.diff(np.bincount(found.labels[inside])) <= 0).all()  # the largest first


def test_samples_that_were_not_fitted_on_get_the_cluster_of_their_like():
    x, truth, patients = blobs()
    for method in (lambda space: kmeans(space, 4), lambda space: gaussian_mixture(space, 4), hdbscan, dbscan):
        space = make_space(x, patients, fit_on=400)
        assert len(space.fit) == 400
        found = method(space)
        others = np.setdiff1d(np.flatnonzero(found.labels >= 0), space.fit)
        assert len(others) > 600
        assert adjusted_rand_score(truth[others], found.labels[others]) > 0.98


@pytest.mark.parametrize("method", [hdbscan, dbscan])
def test_what_lies_far_from_everything_is_noise(method):
    x, _, patients = blobs()
    x[:20] = 200 * np.random.default_rng(1).normal(size=(20, x.shape[1]))
    space = make_space(x, patients, fit_on=800)
    labels = method(space).labels
    assert (labels[:20] < 0).mean() > 0.9
    assert (labels[20:] < 0).mean() < 0.2


def test_clusters_in_a_diffuse_background_are_preferred_to_finding_nothing():
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(3000) < 0.18, rng.integers(0, 6, 3000), -1)
    dense = 2.5 * np.eye(6)[truth] + 0.15 * rng.normal(size=(3000, 6))
    x = np.where(truth[:, None] < 0, 2 * rng.normal(size=(3000, 6)), dense)
    found = hdbscan(make_space(x, rng.integers(0, 30, 3000).astype(str)))
    nothing = found.candidates[-1]
    assert nothing["clusters"] == 0 and np.isnan(nothing["stability"])
    assert found.n_clusters == 6
    both = (truth >= 0) & (found.labels >= 0)
    assert both.sum() > 0.9 * (truth >= 0).sum()
    assert adjusted_rand_score(truth[both], found.labels[both]) > 0.98
    assert "largest stability, 0.8" in found.reason


def test_where_there_is_nothing_to_find_the_reason_says_so(monkeypatch):
    monkeypatch.setattr(clustering, "SIZES", (0.04, 0.08))
    x = np.random.default_rng(0).normal(size=(400, 10))
    found = hdbscan(make_space(x, np.arange(400) % 20))
    assert found.n_clusters < 2
    assert found.reason == "no smallest cluster that was tried finds two"


def test_halves_that_find_nothing_are_not_stable():
    x, _, patients = blobs(200)
    space = make_space(x, patients)
    assert np.isnan(space.stability(lambda half: lambda points: np.full(len(points), -1)))
    halves = iter([-1, 0, -1, 0])  # some find nothing, the others two clusters

    def fit(half):
        noise = next(halves)
        return lambda points: noise + (1 + noise) * (points[:, 0] > 0)

    assert 0 < space.stability(fit) < 0.5  # of 6 pairs one agrees, four do not, and one found nothing


def test_clusters_of_single_people_are_not_stable():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(16), 60)
    people = 6 * rng.normal(size=(16, 8))[patients] + rng.normal(size=(960, 8))
    diseases, _, mixed = blobs(960, k=4)

    def stability(x, whose):
        return make_space(x, whose.astype(str)).stability(clustering._kmeans(4, make_space(x, whose.astype(str))))

    assert stability(diseases, mixed) > 0.9
    assert stability(people, patients) < 0.7


def test_the_same_call_gives_the_same_clusters():
    x, _, patients = blobs(400)
    first, second = (kmeans(make_space(x, patients, seed=3), 5) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)


def test_every_patient_is_fitted_on_alike_and_noone_above_their_share():
    patients = np.array(["many"] * 900 + ["some"] * 60 + ["few"] * 10 + ["one"])
    space = make_space(np.random.default_rng(0).normal(size=(971, 3)), patients, fit_on=200)
    names, counts = np.unique(patients[space.fit], return_counts=True)
    fitted = dict(zip(names.tolist(), counts.tolist(), strict=True))
    assert fitted == {"few": 10, "many": 129, "one": 1, "some": 60}
    assert np.isin(space.judged, space.fit).all()
    for half in space.halves:
        assert len(set(patients[half])) == 2
        assert np.isin(half, space.fit).all()


def test_units_decide_only_where_features_are_not_standardised():
    x, truth, patients = blobs()
    x[:, 5] *= 1000  # another unit, and no cluster in it
    assert adjusted_rand_score(truth, kmeans(make_space(x, patients), 4).labels) < 0.2
    assert adjusted_rand_score(truth, kmeans(make_space(x, patients, standardise=True), 4).labels) > 0.98


def test_the_space_keeps_what_varies_and_has_a_unit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 50)) + 7
    space = make_space(x, np.arange(500).astype(str), dims=5)
    assert space.x.shape == (500, 5)
    assert np.square(space.x).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)


def test_the_elbow_is_where_the_curve_turns():
    curve = np.concatenate([np.linspace(1, 2, 90), np.linspace(2, 20, 10)])
    assert abs(clustering._elbow(curve) - 90) <= 1


def test_a_choice_at_the_edge_of_what_was_tried_is_said(monkeypatch):
    monkeypatch.setattr(clustering, "COUNTS", (2, 3))
    x, _, patients = blobs()
    assert "the largest that was tried" in gaussian_mixture(make_space(x, patients)).reason


def test_what_cannot_be_clustered_is_refused():
    x, _, patients = blobs(100)
    with pytest.raises(UserError, match=r"needs 4 patients.* got 3"):
        make_space(x, np.arange(100).astype(str).astype("<U1").astype(int) % 3)
    with pytest.raises(UserError, match="7 to fit on"):
        make_space(x, patients, fit_on=7)
    space = make_space(x, patients)
    for k in (1, 101):
        with pytest.raises(UserError, match=f"not {k}"):
            kmeans(space, k)


@pytest.mark.parametrize("size", [0, 1, 1e4])
def test_samples_that_coincide_are_said_to(size):
    x, _, patients = blobs(100)
    rounding = 1 + np.spacing(np.float32(1)) * (x > 0)  # as an encoder gives that has collapsed
    with pytest.raises(UserError, match="all 100 samples coincide"):
        make_space(size * rounding, patients)
    clustering.kmeans(make_space(1 + 1e-4 * x, patients), 2)  # little, but more than rounding


def test_where_most_samples_coincide_the_reason_is_said_instead_of_nan():
    x, _, patients = blobs(200)
    mostly = np.where(np.char.equal(patients, "p3")[:, None], x, 0.5)  # one patient alone varies
    space = make_space(mostly, patients, seed=1)
    inside = [np.isin(np.flatnonzero(patients == "p3"), half).any() for half in space.halves]
    with pytest.raises(UserError, match="DBSCAN finds no radius: most samples coincide"):
        dbscan(space)
    found = kmeans(space)
    assert "nan" not in found.reason and found.n_clusters > 1
    assert any(inside) and not all(inside)  # halves without that patient have a stability of none
    few = np.repeat([[0.0, 0], [1, 0], [0, 1]], [60, 30, 10], axis=0)
    assert max(row["k"] for row in kmeans(make_space(few, patients[:100])).candidates) == 3
    alone = np.where(np.arange(200)[:, None] == 7, 1.0, 0.0) * np.ones((1, 2))
    space = make_space(alone, np.arange(200) // 10, seed=next(s for s in range(99) if halves_lack(alone, s)))
    assert kmeans(space).reason.startswith("largest silhouette (no stability: the samples of half of the patients")


def halves_lack(x, seed):
    return not any(7 in half for half in make_space(x, np.arange(200) // 10, seed=seed).halves)

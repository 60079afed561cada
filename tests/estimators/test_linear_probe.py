import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ssl_ecg.errors import UserError
from ssl_ecg.estimators import probe as probe_module
from ssl_ecg.estimators.design import BLOCK_WEIGHTS, patient_folds, random_folds
from ssl_ecg.estimators.logistic import SoftmaxRegressions
from ssl_ecg.estimators.probe import CS, fit_probe
from ssl_ecg.metrics.scores import auroc, decide


def beats(n=900, d=12, n_patients=9, seed=0):
    """Imbalanced classes, correlated features of unequal scales, an offset per patient."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=[0.7, 0.1, 0.15, 0.05])
    patients = rng.integers(0, n_patients, n)
    x = rng.normal(size=(n, d)) + rng.normal(size=(4, d))[y] + 0.5 * rng.normal(size=(n_patients, d))[patients]
    x = x @ rng.normal(size=(d, d)) * np.geomspace(0.01, 100, d) + 5
    return x.astype(np.float32), y, patients.astype(str)


def standardised(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.mark.parametrize("c", [1e-5, 1e-2, 10.0])
def test_it_is_scikit_learns_balanced_logistic_regression(c):
    x, y, patients = beats()
    probe = fit_probe({"x": x}, y, patients, 4, cs=[c])
    ours = probe.predict_proba({"x": x})
    theirs = LogisticRegression(C=c, class_weight="balanced", tol=1e-8, max_iter=10_000).fit(standardised(x), y)
    assert probe.converged
    np.testing.assert_allclose(ours, theirs.predict_proba(standardised(x)), atol=2e-3)
    np.testing.assert_allclose(probe.coefficients.T, theirs.coef_, atol=0.01 * np.abs(theirs.coef_).max())


def test_a_block_weight_multiplies_the_standardised_block():
    x, y, patients = beats()
    blocks = {"many": x[:, :9], "few": x[:, 9:]}
    probe = fit_probe(blocks, y, patients, 4, cs=[1e-3], block_weights={"few": [20.0]})
    weighted = standardised(x) * np.repeat([1.0, 20.0], [9, 3])
    theirs = LogisticRegression(C=1e-3, class_weight="balanced", tol=1e-8, max_iter=10_000).fit(weighted, y)
    np.testing.assert_allclose(probe.predict_proba(blocks), theirs.predict_proba(weighted), atol=2e-3)


def test_problems_solved_together_are_those_solved_alone():
    x, y, _ = beats(n=300, d=5)
    x, y = torch.from_numpy(standardised(x)).double(), torch.from_numpy(y)
    weights = torch.rand(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights[:100, 1] = 0
    weights = weights / weights.sum(dim=0)
    one_hot = y[:, None] == torch.arange(4)
    penalties = torch.tensor([[1e-3, 0.1, 3.0]], dtype=torch.float64).repeat(5, 1)
    together = SoftmaxRegressions(x, one_hot, weights).solve(penalties, tolerance=1e-12)
    for p in range(3):
        alone = SoftmaxRegressions(x, one_hot, weights[:, [p]]).solve(penalties[:, [p]], tolerance=1e-12)
        torch.testing.assert_close(together.logits[..., p], alone.logits[..., 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_from_far_off_every_step_descends_to_the_same_place(seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (300,), generator=g)
    x = (torch.randn(300, 5, generator=g) + 2 * torch.randn(4, 5, generator=g)[y]).double()
    problem = SoftmaxRegressions(x, y[:, None] == torch.arange(4), torch.full((300, 1), 1 / 300))
    penalties = torch.full((5, 1), 0.01)
    far = 5 * torch.randn(6, 4, 1, generator=g).double()

    def objective(fit):
        ridge = 0.005 * fit.coefficients[:-1].square().sum()
        return float(torch.nn.functional.cross_entropy(fit.logits[..., 0], y) + ridge)

    values = [objective(problem.solve(penalties, far, max_iterations=n)) for n in range(1, 25)]
    assert values == sorted(values, reverse=True)
    near, found = (problem.solve(penalties, start, tolerance=1e-12) for start in (None, far))
    assert found.converged.all()
    assert objective(found) == pytest.approx(objective(near), abs=1e-9)


def test_the_cross_validation_is_that_of_scikit_learn():
    x, y, patients = beats()
    probe = fit_probe({"x": x}, y, patients, 4, cs=[1e-4, 1e-2, 1.0])
    deals = [patient_folds(patients, y[:, None] == np.arange(4))]
    deals += [random_folds(patients, 5, seed) for seed in range(1, 5)]  # few patients: one deal would decide too much
    z = standardised(x)
    for setting in probe.table:
        areas = []
        for fold in deals:
            right, pairs = np.zeros(4), np.zeros(4)
            for f in range(5):
                model = LogisticRegression(C=setting.c, class_weight="balanced", tol=1e-6, max_iter=10_000)
                p = model.fit(z[fold != f], y[fold != f]).predict_proba(z[fold == f])
                for k in range(4):
                    mine = y[fold == f] == k
                    n = mine.sum() * (~mine).sum()
                    right[k] += n * auroc(mine, p[:, k]) if n else 0
                    pairs[k] += n
            areas.append(right / pairs)
        assert setting.macro_auroc == pytest.approx(np.mean(areas), abs=2e-3)
    assert probe.chosen == max(probe.table, key=lambda setting: setting.macro_auroc)


def test_a_held_out_patient_has_no_say_in_its_own_predictions(monkeypatch):
    """Relabelling one fold leaves the logits that judge it as they were."""
    x, y, patients = beats()
    fold = patient_folds(patients, y[:, None] == np.arange(4))
    monkeypatch.setattr(probe_module, "patient_folds", lambda *_: fold)
    monkeypatch.setattr(probe_module, "_DEALS", 1)
    judged = []
    original = probe_module.held_out_auroc
    monkeypatch.setattr(
        probe_module, "held_out_auroc", lambda y, p, *rest: (judged.append(p), original(y, p, *rest))[1]
    )
    swapped = np.where(fold == 0, (y + 1) % 4, y)
    for labels in (y, swapped):
        fit_probe({"x": x}, labels, patients, 4, cs=[0.01, 0.02])
    first, second = judged[0], judged[2]
    assert np.abs(first[fold == 0] - second[fold == 0]).max() < 0.01
    assert np.abs(first[fold == 1] - second[fold == 1]).max() > 0.05


def test_few_informative_features_are_not_drowned_by_many():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    patients = rng.integers(0, 10, 400)
    rr = (y[:, None] + rng.normal(size=(400, 2))).astype(np.float32)
    noise = rng.normal(size=(400, 300)).astype(np.float32)
    probe = fit_probe({"embedding": noise, "rr": rr}, y, patients, 2)
    assert probe.chosen.weights["rr"] > 1
    assert len(probe.table) == len(CS) * len(BLOCK_WEIGHTS)
    plain = fit_probe({"all": np.concatenate([noise, rr], axis=1)}, y, patients, 2)
    assert probe.chosen.macro_auroc > plain.chosen.macro_auroc + 0.02


def test_settings_are_judged_by_the_patients_asked_for():
    rng = np.random.default_rng(0)
    y, patients = rng.integers(0, 2, 600), rng.integers(0, 12, 600)
    seen = patients < 6
    # One strong feature that holds for all, and many that know the answer for the seen patients alone.
    strong = 1.5 * y[:, None] + rng.normal(size=(600, 1))
    known = np.where(seen[:, None], y[:, None], rng.integers(0, 2, 600)[:, None]) + 3 * rng.normal(size=(600, 60))
    x = np.concatenate([strong, known], axis=1).astype(np.float32)
    flattered = fit_probe({"x": x}, y, patients, 2, judged=seen).chosen
    honest = fit_probe({"x": x}, y, patients, 2, judged=~seen).chosen
    everyone = fit_probe({"x": x}, y, patients, 2).chosen
    assert flattered.macro_auroc > everyone.macro_auroc > honest.macro_auroc + 0.02
    all_of_them = fit_probe({"x": x}, y, patients, 2, judged=np.ones(600, bool)).chosen
    assert all_of_them == everyone


def test_a_class_of_one_patient_is_not_scored_and_said():
    x, y, patients = beats()
    y = np.where((y == 3) & (patients != "4"), 0, y)
    probe = fit_probe({"x": x}, y, patients, 4, cs=[0.01, 0.1])
    assert probe.unscored == (3,)
    assert all(np.isfinite(setting.macro_auroc) for setting in probe.table)


def test_a_class_that_training_lacks_gets_no_probability():
    x, y, patients = beats()
    probe = fit_probe({"x": x}, y, patients, 6)
    p = probe.predict_proba({"x": x})
    assert p.shape == (900, 6)
    assert p[:, 4:].max() < 1e-6
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_priors_are_those_of_training_and_favour_the_common_class():
    x, y, patients = beats()
    probe = fit_probe({"x": x}, y, patients, 4, cs=[0.01])
    np.testing.assert_allclose(probe.decision, np.bincount(y) / len(y))
    p = probe.predict_proba({"x": x})
    assert (decide(p, probe.decision) == 0).sum() > (p.argmax(axis=1) == 0).sum()


def test_a_constant_feature_does_no_harm():
    x, y, patients = beats()
    x[:, 3] = 7.1
    probe = fit_probe({"x": x}, y, patients, 4, cs=[0.01])
    assert np.isfinite(probe.predict_proba({"x": x})).all()
    assert probe.scale[3] == 1


def test_it_is_deterministic():
    x, y, patients = beats(n=300)
    first, second = (fit_probe({"x": x}, y, patients, 4) for _ in range(2))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)


def test_what_it_refuses():
    x, y, patients = beats(n=100)
    holed = x.copy()
    holed[7, 2] = np.nan
    probe = fit_probe({"x": x}, y, patients, 4, cs=[0.01])
    for says, call in {
        "first: row 7": lambda: fit_probe({"x": holed}, y, patients, 4),
        "differ in their number": lambda: fit_probe({"x": x, "z": x[:5]}, y, patients, 4),
        "at least one block": lambda: fit_probe({}, y, patients, 4),
        "labels run from": lambda: fit_probe({"x": x}, y + 3, patients, 4),
        "some of the samples it learns from": lambda: fit_probe({"x": x}, y * 0, patients, 4),
        "one per sample": lambda: fit_probe({"x": x}, y, patients[:3], 4),
        "positive values of C": lambda: fit_probe({"x": x}, y, patients, 4, cs=[0.0, 1.0]),
        "unknown blocks": lambda: fit_probe({"x": x}, y, patients, 4, block_weights={"rr": [1.0]}),
        "two patients": lambda: fit_probe({"x": x}, y, np.zeros(100), 4),
        "no class has samples both to learn from and to judge by": lambda: fit_probe(
            {"x": x}, np.arange(100) % 2, np.arange(100) % 2, 2
        ),
        "fitted on blocks": lambda: probe.predict_proba({"z": x}),
    }.items():
        with pytest.raises(UserError, match=says):
            call()

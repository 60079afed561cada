"""Draws of the labels, probes fitted on them, and their scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multilabel_study import CLASSES, records
from sklearn.linear_model import LogisticRegression

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import CS as PROBED
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.metrics.bootstrap import seed_mean
from ssl_ecg.metrics.scores import auroc
from ssl_ecg.study import label_draws as label_draws_module
from ssl_ecg.study.label_draws import label_draws
from ssl_ecg.sweep.label_efficiency import LabelEfficiency
from ssl_ecg.sweep.predictors import LinearProbe, TrainSide

CS = (1e-4, 1e-2, 1.0)


def fit_draw(x, targets, patients, draw, cs=CS, validation=None, judged=None):
    """The probe of one draw."""
    rows, some = draw.rows, [None if mask is None else mask[draw.rows] for mask in (validation, judged)]
    return fit_probe({"x": x[rows]}, targets[rows], patients[rows], cs=cs, validation=some[0], judged=some[1], few=True)


def curve(probe):
    return np.array([setting.macro_auroc for setting in probe.table])


def split(patients, n=40):
    """The samples of the first so many patients."""
    return np.isin(patients, np.unique(patients)[:n])


@st.composite
def people(draw):
    """Patients of one to three samples each and classes that some of them have."""
    n_patients, n_classes = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    return patients, rng.random((len(patients), n_classes)) < rng.uniform(0, 0.6, n_classes)


@settings(deadline=None)
@given(people(), st.lists(st.floats(0.01, 1), min_size=1, max_size=4), st.integers(1, 3))
def test_draws_are_whole_patients_nested_and_have_every_class_there_is_room_for(study, fractions, seeds):
    patients, targets = study
    draws = label_draws(patients, targets, fractions, seeds)
    n_patients = len(np.unique(patients))
    before = {}
    for draw in draws:
        drawn = np.unique(patients[draw.rows])
        assert len(drawn) == max(1, round(draw.fraction * n_patients))
        assert not set(drawn) & set(patients[~draw.rows])
        if len(drawn) >= targets.shape[1]:
            assert (targets[draw.rows].any(axis=0) == targets.any(axis=0)).all()
        assert not (before.get(draw.seed, draw.rows) & ~draw.rows).any()
        before[draw.seed] = draw.rows


def test_all_labels_are_one_draw_and_seeds_differ_below():
    _, targets, patients = records()
    draws = label_draws(patients, targets, (1, 0.1), seeds=3)
    assert [(draw.fraction, draw.seed) for draw in draws] == [(0.1, 0), (0.1, 1), (0.1, 2), (1, 0)]
    assert draws[-1].rows.all()
    assert len({draw.rows.tobytes() for draw in draws}) == 4
    again = label_draws(patients, targets, (0.1,), seeds=2)
    assert all((a.rows == b.rows).all() for a, b in zip(again, draws, strict=False))


@pytest.mark.parametrize("with_validation", [False, True])
def test_one_draw_is_the_one_of_its_seed_among_all(with_validation, monkeypatch):
    _, targets, patients = records()
    validation = split(patients) if with_validation else None
    draws = label_draws(patients, targets, (0.1, 0.5, 1), 3, validation)
    ordered = []
    order = label_draws_module._order
    monkeypatch.setattr(label_draws_module, "_order", lambda *given: ordered.append(1) or order(*given))
    for draw in draws:
        (one,) = label_draws(patients, targets, [draw.fraction], [draw.seed], validation)
        assert (one.fraction, one.seed) == (draw.fraction, draw.seed)
        assert (one.rows == draw.rows).all()
    assert len(ordered) == len(draws) * (1 + with_validation)  # none was drawn in vain
    assert label_draws(patients, targets, [1.0], [7], validation)[0].rows.all()
    for fraction, seed in ((0.1, -1), (0.0, 0)):
        with pytest.raises(UserError, match=r"must be at least 0|above 0"):
            label_draws(patients, targets, [fraction], [seed])


def test_a_draw_keeps_the_shares_of_the_classes():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 1000, p=[0.7, 0.2, 0.1])
    targets = y[:, None] == np.arange(3)
    for draw in label_draws(np.arange(1000), targets, (0.1,), seeds=5):
        assert np.abs(targets[draw.rows].mean(axis=0) - targets.mean(axis=0)).max() <= 0.02


def test_the_validation_split_is_drawn_by_the_same_share():
    _, targets, patients = records()
    validation = split(patients)
    for draw in label_draws(patients, targets, (0.1, 0.5), 2, validation):
        for side in (validation, ~validation):
            drawn = len(np.unique(patients[side & draw.rows]))
            assert drawn == round(draw.fraction * len(np.unique(patients[side])))


@pytest.mark.parametrize("fractions", [(), (0,), (0.1, 1.1), (float("nan"),)])
def test_shares_that_are_none_are_refused(fractions):
    _, targets, patients = records()
    with pytest.raises(UserError, match="above 0 and at most 1"):
        label_draws(patients, targets, fractions)


@pytest.mark.parametrize(("fraction", "d"), [(0.1, 10), (0.1, 120), (1.0, 10)])
def test_every_c_of_every_draw_is_scikit_learns(fraction, d):
    """Also with fewer samples than features, where the solver works in the space that they span."""
    x, targets, patients = records(d=d)
    validation = split(patients)
    cs = (1e-4, 1e-2, 1.0, 10.0, 100.0)
    for draw in label_draws(patients, targets, (fraction,), 2, validation):
        rows, held = draw.rows & ~validation, draw.rows & validation
        z = (x.astype(np.float64) - x[rows].mean(axis=0)) / x[rows].std(axis=0)
        new = ~draw.rows if fraction < 1 else validation
        table = fit_draw(x, targets, patients, draw, cs=cs, validation=validation).table
        for c, setting in zip(cs, table, strict=True):
            probe = fit_draw(x, targets, patients, draw, cs=(c,), validation=validation)
            there = np.flatnonzero(targets[rows].any(axis=0))
            theirs = np.stack(
                [
                    LogisticRegression(C=c, tol=1e-9, max_iter=10_000)
                    .fit(z[rows], targets[rows, k])
                    .decision_function(z)
                    for k in there
                ],
                axis=1,
            )
            mine = probe.logits({"x": x})[:, there]
            areas = np.array(
                [[auroc(targets[new, k], logits[new, i]) for i, k in enumerate(there)] for logits in (mine, theirs)]
            )
            # The search is precise to .0005 of a macro AUROC.
            assert areas[0].mean() == pytest.approx(areas[1].mean(), abs=2e-3)
            # Of a single class, as far as probes choose C. Beyond, a draw's few samples are parted without error, and
            # what is left of the objective is flat: the order of some neighbours is that of its rounding.
            if c <= max(PROBED):
                np.testing.assert_allclose(*areas, atol=2e-3)
            if fraction == 1:
                validated = [auroc(targets[held, k], theirs[held, i]) for i, k in enumerate(there)]
                assert setting.macro_auroc == pytest.approx(np.mean(validated), abs=2e-3)


def test_with_all_labels_it_is_the_linear_probe():
    x, targets, patients = records()
    for validation in (split(patients), None):
        (draw,) = label_draws(patients, targets, (1.0,), 5, validation)
        probe = fit_draw(x, targets, patients, draw, cs=CS, validation=validation)
        usual = fit_probe({"x": x}, targets, patients, cs=CS, validation=validation)
        assert probe.chosen.c == usual.chosen.c
        np.testing.assert_allclose(curve(probe), [setting.macro_auroc for setting in usual.table], atol=1e-3)
        np.testing.assert_allclose(probe.predict_proba({"x": x}), usual.predict_proba({"x": x}), atol=0.01)
        np.testing.assert_allclose(probe.decision, usual.decision, atol=0.02)


@pytest.mark.parametrize("with_validation", [True, False])
def test_nothing_outside_the_draw_is_looked_at(with_validation):
    x, targets, patients = records()
    validation = split(patients) if with_validation else None
    (draw, *_) = label_draws(patients, targets, (0.3,), 1, validation)
    probe = fit_draw(x, targets, patients, draw, cs=CS, validation=validation)
    other = x.copy(), targets.copy()
    other[0][~draw.rows] = 1e6
    other[1][~draw.rows] = ~targets[~draw.rows]
    same = fit_draw(*other, patients, draw, cs=CS, validation=validation)
    assert same.chosen == probe.chosen
    np.testing.assert_array_equal(same.coefficients, probe.coefficients)
    np.testing.assert_array_equal(curve(same), curve(probe))
    np.testing.assert_array_equal(same.decision, probe.decision)


def test_the_validation_split_is_never_fitted_on():
    x, targets, patients = records()
    validation = split(patients)
    (draw,) = label_draws(patients, targets, (1.0,), 1, validation)
    moved, flipped = x.copy(), targets.copy()
    moved[validation] += 100
    flipped[validation] ^= True
    for c in CS:  # which of them is chosen is up to the validation split
        probe = fit_draw(x, targets, patients, draw, cs=(c,), validation=validation)
        other = fit_draw(moved, flipped, patients, draw, cs=(c,), validation=validation)
        np.testing.assert_array_equal(other.coefficients, probe.coefficients)
        assert not np.array_equal(curve(other), curve(probe))


def test_few_patients_choose_nothing_and_it_is_said():
    x, targets, patients = records()
    validation = split(patients)
    (draw,) = label_draws(patients, targets, (0.1,), 1, validation)
    assert len(np.unique(patients[draw.rows & validation])) == 4
    probe = fit_draw(x, targets, patients, draw, cs=(1e-3, 0.2, 10.0), validation=validation)
    assert (probe.how, probe.chosen.c) == ("default", 0.2)  # nearest to 1 / 10 features
    assert (probe.decision == 0.5).all()
    (draw,) = label_draws(patients, targets, (0.02,), 1)
    alone = fit_draw(x, targets, patients, draw, cs=CS)
    assert alone.how == "default"
    assert np.isnan(curve(alone)).all()
    (draw,) = label_draws(patients, targets, (0.2,), 1)
    assert fit_draw(x, targets, patients, draw, cs=CS).how == "cross-validation"


def test_those_who_judge_are_the_unseen_where_five_are_drawn():
    x, targets, patients = records()
    (draw,) = label_draws(patients, targets, (0.3,), 1)
    drawn = np.unique(patients[draw.rows])
    by_all = curve(fit_draw(x, targets, patients, draw, cs=CS))
    for judges, same in ((4, True), (20, False)):
        judged = np.isin(patients, drawn[:judges])
        areas = curve(fit_draw(x, targets, patients, draw, cs=CS, judged=judged))
        assert np.array_equal(areas, by_all, equal_nan=True) == same


def test_a_class_that_nobody_drawn_has_is_never_predicted_and_counts_a_half():
    x, targets, patients = records()
    rare = np.zeros((len(x), 1), dtype=bool)
    one = patients == patients[np.flatnonzero(~split(patients))[0]]
    rare[one] = True
    targets = np.concatenate([targets, rare], axis=1)
    draw = next(d for d in label_draws(patients, targets[:, :3], (0.1,), 20) if not (d.rows & one).any())
    probe = fit_draw(x, targets, patients, draw, cs=CS)
    assert probe.predict_proba({"x": x})[:, 3].max() < 1e-6
    assert auroc(rare[:, 0], probe.logits({"x": x})[:, 3]) == 0.5


def study_of(**options):
    x, targets, patients = records()
    test = split(patients, 50)
    side = TrainSide(targets[~test], patients[~test], cs=CS)
    efficiency = LabelEfficiency(side, targets[test], patients[test], CLASSES, resamples=200, **options)
    return efficiency, LinearProbe(x[~test], x[test], side)


def test_more_labels_score_better_and_the_mean_over_seeds_is_taken_inside_resamples():
    efficiency, predictor = study_of(fractions=(0.05, 1.0), seeds=4)
    runs = list(efficiency.run(predictor))
    few = [run.test for run in runs if run.draw.fraction == 0.05]
    (everything,) = [run.test for run in runs if run.draw.fraction == 1]
    mean = seed_mean(few)
    assert len(few) == 4
    for run in runs:
        assert (run.learned == efficiency.side.targets[run.draw.rows].sum(axis=0)).all()
        assert run.samples == run.draw.rows.sum()
    assert mean.values["macro_auroc"] == pytest.approx(np.mean([run.values["macro_auroc"] for run in few]))
    expected = np.mean([run.replicates["macro_auroc"] for run in few], axis=0)
    np.testing.assert_allclose(mean.replicates["macro_auroc"], expected)
    assert everything.values["macro_auroc"] > mean.values["macro_auroc"] + 0.02
    with pytest.raises(UserError, match="same resamples"):
        seed_mean([])


def test_a_test_set_without_a_class_to_score_is_refused():
    _, targets, patients = records()
    few = np.isin(patients, np.unique(patients)[-4:])
    with pytest.raises(UserError, match=r"no class can be scored: .* there are 4 test patients"):
        LabelEfficiency(TrainSide(targets[~few], patients[~few]), targets[few], patients[few], CLASSES)


def test_a_patient_on_both_sides_of_the_validation_split_is_refused():
    x, targets, patients = records()
    validation = split(patients)
    (draw,) = label_draws(patients, targets, (1.0,), 1, validation)
    patients = patients.copy()
    patients[np.flatnonzero(validation)[0]] = patients[np.flatnonzero(~validation)[0]]
    with pytest.raises(UserError, match="on both sides of the validation split"):
        fit_draw(x, targets, patients, draw, validation=validation)

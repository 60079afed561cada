import numpy as np
import pytest
from multilabel_study import CLASSES, records

from ssl_ecg.study.benchmark import Benchmark, Labels


def sides(targets, patients):
    """Labels of 100 train patients, 30 of them for validation, and of 50 test patients; and who is where."""
    number = np.unique(patients, return_inverse=True)[1]
    test = number >= 100
    names = np.char.add("r", np.arange(len(patients)).astype(str))
    train, held_out = (Labels(targets[m], patients[m], names[m]) for m in (~test, test))
    return train, held_out, test, (number < 30)[~test]


def test_classes_that_do_not_exclude_each_other_are_scored_each_and_compared_in_pairs():
    x, targets, patients = records(n=1500)
    train, test, where, validation = sides(targets, patients)
    benchmark = Benchmark(
        train,
        test,
        CLASSES,
        validation=validation,
        resamples=200,
        subsets={"without one": [str(test.records[0])], "without nobody": ["r-1"]},
    )
    assert benchmark.multilabel
    assert benchmark.too_few == ()
    noise = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    results = {}
    for system, features in {"noise": noise, "signal": x}.items():
        fitted = benchmark.fit(system, {"x": features[~where]})
        assert not fitted.probe.exclusive
        results[system] = benchmark.score(fitted, {"x": features[where]}, list(results.values()))
    found = results["signal"]
    assert found.probabilities.shape == test.y.shape
    assert {"macro_auroc", "auroc_MI", "auprc_HYP", "f1_NORM", "macro_f1", "macro_auprc"} <= set(found.scores)
    assert found.versus["noise"]["macro_auroc"].low > 0.1
    assert found.scores["macro_auroc"].low < found.scores["macro_auroc"].value < found.scores["macro_auroc"].high
    assert found.subsets["without one"]["macro_auroc"].value != found.scores["macro_auroc"].value
    assert found.subsets["without one"]["macro_auroc"].value == pytest.approx(
        found.scores["macro_auroc"].value, abs=0.02
    )


def test_the_validation_split_chooses():
    x, targets, patients = records(n=1500)
    train, test, where, validation = sides(targets, patients)
    with_split = Benchmark(train, test, CLASSES, validation=validation).fit("x", {"x": x[~where]}).probe
    flipped = Labels(train.y ^ validation[:, None], train.patients, train.records)
    misled = Benchmark(flipped, test, CLASSES, validation=validation).fit("x", {"x": x[~where]}).probe
    assert with_split.chosen.macro_auroc == pytest.approx(1 - min(s.macro_auroc for s in misled.table), abs=1e-6)
    left_out = Benchmark(train, test, CLASSES).fit("x", {"x": x[~where]}).probe
    assert left_out.chosen.macro_auroc != with_split.chosen.macro_auroc


def test_classes_that_exclude_each_other_keep_their_probe():
    x, targets, patients = records(n=600)
    train, test, where, _ = sides(targets[:, 0].astype(np.int64), patients)
    benchmark = Benchmark(train, test, ("other", "NORM"), resamples=50)
    found = benchmark.score(benchmark.fit("x", {"x": x[~where]}), {"x": x[where]})
    assert found.probe.exclusive
    assert not benchmark.multilabel
    assert "prior_macro_f1" in found.scores
    assert benchmark.too_few == ()
    rare = np.where(np.isin(test.patients, np.unique(test.patients)[:4]), test.y, 0)
    few = Benchmark(train, Labels(rare, test.patients, test.records), ("other", "NORM", "MI"))
    assert few.too_few == ("other", "NORM", "MI")  # nor do five lack the first

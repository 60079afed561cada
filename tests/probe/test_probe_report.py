from dataclasses import replace

import numpy as np
import pytest
from multilabel_study import CLASSES, records

from ssl_ecg.probe.report import Scored
from ssl_ecg.report.figures import one_class
from ssl_ecg.study.benchmark import Benchmark, Labels


@pytest.fixture(scope="module")
def study():
    """A benchmark whose last class three test patients have, two systems' results, and the test features."""
    x, targets, patients = records(n=900)
    number = np.unique(patients, return_inverse=True)[1]
    test = number >= 100
    targets[:, 2] &= ~test | np.isin(number, [101, 102, 103])
    train, held_out = (Labels(targets[m], patients[m], patients[m]) for m in (~test, test))
    benchmark = Benchmark(train, held_out, CLASSES, validation=(number < 30)[~test], resamples=50)
    results = []
    for system, features in {"untrained": x[:, :4], "pretrained": x}.items():
        fitted = benchmark.fit(system, {"x": features[~test]})
        results.insert(0, benchmark.score(fitted, {"x": features[test]}, results))
    return benchmark, results, x[test]


def scored(study, results, embeddings):
    return Scored("PTBXL", "super", False, "inductive", results, study[0], embeddings=embeddings)


def test_a_report_of_several_classes_at_once(study, capsys):
    benchmark, results, embeddings = study
    found = scored(study, results, embeddings)
    found.show("runs/x")
    out = capsys.readouterr().out
    for part in ("macro AUROC", "macro AUPRC", "AUROC NORM", "pretrained - untrained", "Not scored", "HYP"):
        assert part in out
    assert "AUROC HYP" not in out
    about = found.about()
    assert about["too_few"] == ["HYP"]
    assert about["train_samples"] + about["validation_samples"] == len(benchmark.train.y)
    system = about["systems"]["pretrained"]
    assert set(system["thresholds"]) == set(CLASSES)
    assert (system["chosen_on"], system["chosen_macro_auroc"]) == (
        "validation split",
        results[0].probe.chosen.macro_auroc,
    )
    rows = found.rows()
    (area,) = [r for r in rows if (r.system, r.score, r.reference) == ("pretrained", "auroc_MI", "")]
    assert area.low < area.value < area.high
    assert (area.data, area.task, area.predictor) == ("PTBXL", "super", "linear probe")
    assert {r.reference for r in rows if r.system == "pretrained"} == {"", "untrained"}
    assert "macro_auprc" in {r.score for r in rows}
    assert set(found.figures()) == {"classes.png", "map.png", "scores.png"}


def test_the_validation_splits_scores_alone(study, capsys):
    results = [replace(r, resampled=None, versus={}) for r in study[1]]
    found = scored(study, results, None)
    found.show("runs/x")
    assert "validation split" in capsys.readouterr().out
    assert [(r.system, r.score, r.subset) for r in found.rows()] == [
        (r.system, "macro_auroc", "validation split") for r in results
    ]
    assert found.figures() == {}


def test_a_sample_of_several_classes_is_no_single_one():
    targets = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    y, names = one_class(targets, CLASSES)
    assert [names[i] for i in y] == ["NORM", "HYP", "several", "several", "HYP"]


def test_of_many_classes_the_common_ones_are_shown():
    targets = np.repeat(np.eye(12, dtype=bool), np.arange(1, 13), axis=0)
    y, names = one_class(targets, [f"c{i}" for i in range(12)])
    assert names == (*(f"c{i}" for i in range(4, 12)), "several or a rarer one")
    np.testing.assert_array_equal(np.bincount(y), [5, 6, 7, 8, 9, 10, 11, 12, 1 + 2 + 3 + 4])

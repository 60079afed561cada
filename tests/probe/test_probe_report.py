import json

import numpy as np
import pandas as pd
import pytest
from multilabel_study import CLASSES, records

from ssl_ecg.probe.report import write_report
from ssl_ecg.report.embedding_map import one_class
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
        results.insert(0, benchmark.score(fitted, {"x": features[test]}, [r.system for r in results]))
    return benchmark, results, x[test]


def written(study, folder, embeddings):
    benchmark, results, _ = study
    options = {"setting": "inductive", "simulated": False, "checkpoint": "runs/x", "config": None}
    write_report(folder, results, benchmark, embeddings=embeddings, **options)


def test_a_report_of_several_classes_at_once(study, tmp_path, capsys):
    written(study, tmp_path, study[2])
    out = capsys.readouterr().out
    for part in ("macro AUROC", "macro AUPRC", "AUROC NORM", "pretrained - untrained", "Not scored", "HYP"):
        assert part in out
    assert "AUROC HYP" not in out
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["too_few"] == ["HYP"]
    assert found["train_samples"] + found["validation_samples"] == len(study[0].train.y)
    system = found["systems"]["pretrained"]
    assert set(system["thresholds"]) == set(CLASSES)
    assert system["validation_macro_auroc"] == study[1][0].probe.chosen.macro_auroc
    assert system["scores"]["auroc_MI"]["low"] < system["scores"]["auroc_MI"]["high"]
    assert "macro_auprc" in set(pd.read_csv(tmp_path / "results.csv")["score"])
    assert {p.name for p in tmp_path.glob("*.png")} == {"classes.png", "map.png", "scores.png"}


def test_the_validation_splits_scores_alone(study, tmp_path, capsys):
    written(study, tmp_path, None)
    assert "on the validation split" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["validation.json"]


def test_a_sample_of_several_classes_is_no_single_one():
    targets = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    y, names = one_class(targets, CLASSES)
    assert [names[i] for i in y] == ["NORM", "HYP", "several", "several", "HYP"]


def test_of_many_classes_the_common_ones_are_shown():
    targets = np.repeat(np.eye(12, dtype=bool), np.arange(1, 13), axis=0)
    y, names = one_class(targets, [f"c{i}" for i in range(12)])
    assert names == (*(f"c{i}" for i in range(4, 12)), "several or a rarer one")
    np.testing.assert_array_equal(np.bincount(y), [5, 6, 7, 8, 9, 10, 11, 12, 1 + 2 + 3 + 4])

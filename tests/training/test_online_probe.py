from types import SimpleNamespace

import numpy as np
import pytest
import torch
from multilabel_study import CLASSES, records

from ssl_ecg.encoders import Encoder
from ssl_ecg.training.online_probe import OnlineProbe


class Mean(Encoder):
    """The mean of each channel."""

    dim = 10

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x.mean(dim=-1)


class Side:
    """What the probe asks of the windows on one side."""

    def __init__(self, x, targets, patients):
        self.x, self.targets, self.patient = torch.from_numpy(x)[..., None].repeat(1, 1, 4), targets, patients

    def sample(self, size, seed):
        return self

    def batches(self):
        return iter(self.x.split(100))


def probe(targets, x, patients, classes=CLASSES):
    held_out = np.unique(patients, return_inverse=True)[1] >= 100
    sides = {name: Side(x[m], targets[m], patients[m]) for name, m in {"train": ~held_out, "val": held_out}.items()}
    store = SimpleNamespace(classes=classes)
    data = SimpleNamespace(store=store, seed=0, probe_train=sides["train"], probe_val=sides["val"])
    return OnlineProbe(data, multilabel=True)


def test_classes_that_do_not_exclude_each_other_are_scored():
    x, targets, patients = records(n=1200)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    mine = probe(targets, x, patients)
    assert mine.possible
    scores = mine.score(Mean())
    assert set(scores) == {"probe_auroc", "knn_auroc"}
    assert 0.7 < scores["probe_auroc"] < 0.95
    assert scores["knn_auroc"] > 0.6
    shuffled = np.random.default_rng(0).permutation(len(x))
    guessing = probe(targets, x[shuffled], patients).score(Mean())
    assert guessing["probe_auroc"] == pytest.approx(0.5, abs=0.1)


def test_without_a_class_to_learn_and_to_score_there_is_no_probe():
    x, targets, patients = records(n=1200)
    held_out = (np.unique(patients, return_inverse=True)[1] >= 100)[:, None]
    assert not probe(targets & ~held_out, x, patients).possible
    assert not probe(targets & held_out, x, patients).possible
    assert not probe(targets[:, :0], x, patients, classes=()).possible
    only_one = targets & [True, False, False]
    assert probe(only_one, x, patients).possible

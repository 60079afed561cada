"""Fine-tuning: the rate falls layer by layer, batch statistics are learned, and the best epoch is what is kept."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from toy import Toy

from augmentations import AmplitudeScale, Views
from ssl_ecg.data.build import build
from ssl_ecg.data.windows import BeatCentred, WindowSet
from ssl_ecg.encoders import Encoder, ResNet1d
from ssl_ecg.errors import CheckpointError
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.finetune.training import BestEpoch, Classifier, fine_tune, macro_auroc
from ssl_ecg.optimisers import LARS, AdamW
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.training.embedding import embed
from ssl_ecg.training.settings import TrainerSettings

P = Preprocessing(leads=("II", "V1"), window=1.28)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> WindowSet:
    store = build(Toy(patients=4), P, tmp_path_factory.mktemp("cache"))
    return WindowSet(store, P, BeatCentred().index(store, P.samples))


def encoder() -> ResNet1d:
    torch.manual_seed(0)
    return ResNet1d(2, width=4, stages=2)


def classifier(windows: WindowSet, **settings) -> Classifier:
    torch.manual_seed(1)
    return Classifier(encoder(), windows.targets, **{"multilabel": False, **settings})


class Bare(Encoder):
    """Says nothing of its layers, and has a parameter outside of all of them."""

    def __init__(self, in_channels: int = 2) -> None:
        super().__init__()
        self.in_channels, self.dim = in_channels, 3
        self.offset = nn.Parameter(torch.zeros(1))
        self.first = nn.Conv1d(in_channels, 3, 1)
        self.second = nn.Conv1d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x + self.offset)).mean(-1)


def test_the_rate_falls_from_the_head_to_the_signal(windows: WindowSet) -> None:
    module = classifier(windows, layer_decay=0.5, optimiser=AdamW(lr=0.1))
    groups = module.optimiser.groups(module, module.shares())
    rate = {p: group["lr"] for group in groups for p in group["params"]}
    assert set(rate) == set(module.parameters())
    assert groups[0]["lr"] == 0.1  # what the log shows
    for layer, expected in zip(
        (module.head, *reversed(module.encoder.layers())), (0.1, 0.05, 0.025, 0.0125), strict=True
    ):
        assert [rate[p] for p in layer.parameters()] == pytest.approx([expected] * len(list(layer.parameters())))
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_without_decay_there_is_one_rate(windows: WindowSet) -> None:
    module = classifier(windows)
    assert {group["lr"] for group in module.optimiser.groups(module, module.shares())} == {module.optimiser.lr}
    assert len(module.optimiser.groups(module, module.shares())) == 2


@pytest.mark.parametrize("kind", [AdamW, LARS])
def test_every_optimiser_takes_a_step_of_each_layers_size(windows: WindowSet, kind: type) -> None:
    module = classifier(windows, layer_decay=0.5, optimiser=kind(lr=0.1, warmup=0))
    _, schedule = module.optimiser.configure(module, 10, module.shares())
    assert max(schedule.get_last_lr()) == pytest.approx(0.1)
    assert min(schedule.get_last_lr()) == pytest.approx(0.0125)


def test_layers_of_an_encoder_that_does_not_say_are_its_modules() -> None:
    bare = Bare()
    module = Classifier(bare, np.eye(2, dtype=bool), multilabel=False, layer_decay=0.5)
    assert bare.layers() == [bare.first, bare.second]
    shares = module.shares()
    assert shares[bare.second.weight] == 0.5
    assert shares[bare.first.weight] == shares[bare.offset] == 0.25


def test_the_head_of_the_probe_predicts_as_the_probe_does(windows: WindowSet) -> None:
    module = classifier(windows)
    module.encoder.eval()
    z = embed(module.encoder, windows.batches()).numpy()
    probe = fit_probe({"embedding": z}, windows.label, windows.patient, 2, cs=[1.0])
    module.start_head(probe)
    np.testing.assert_allclose(module.probabilities(windows), probe.predict_proba({"embedding": z}), atol=1e-4)


def test_classes_that_exclude_each_other_count_alike(windows: WindowSet) -> None:
    module = classifier(windows)
    logits = torch.randn(len(windows), 2)
    targets = torch.from_numpy(windows.targets)
    y = targets.int().argmax(dim=1)
    each = [cross_entropy(logits[y == k], y[y == k]) for k in range(2)]
    assert (y == 0).sum() != (y == 1).sum()
    torch.testing.assert_close(module.cross_entropy(logits, targets), torch.stack(each).mean())


def test_classes_that_do_not_are_binary_each() -> None:
    module = Classifier(encoder(), np.zeros((4, 3), dtype=bool), multilabel=True)
    logits = torch.tensor([[0.0, 20.0, -20.0]])
    loss = module.cross_entropy(logits, torch.tensor([[True, True, False]]))
    assert float(loss) == pytest.approx(math.log(2) / 3, abs=1e-5)


def test_the_encoder_and_its_batch_statistics_learn_but_not_while_scoring(windows: WindowSet, tmp_path: Path) -> None:
    module = classifier(windows, optimiser=AdamW(lr=1e-2))
    norm = module.encoder.stem[1]
    before = norm.running_mean.clone(), norm.weight.detach().clone()
    module.probabilities(windows)
    assert torch.equal(norm.running_mean, before[0])
    assert module.training
    fine_tune(module, windows, windows, tmp_path / "run", TrainerSettings(max_epochs=1, accelerator="cpu"), 16)
    assert not torch.equal(norm.running_mean, before[0])
    assert not torch.equal(norm.weight, before[1])
    once = module.probabilities(windows)
    np.testing.assert_array_equal(once, module.probabilities(windows))


def test_the_best_epoch_is_kept(windows: WindowSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.6, 0.8, 0.8, 0.7])
    seen: list[Tensor] = []

    def scored(targets: np.ndarray, p: np.ndarray) -> float:
        seen.append(module.head.bias.detach().clone())
        return next(scores)

    monkeypatch.setattr("ssl_ecg.finetune.training.macro_auroc", scored)
    module = classifier(windows, optimiser=AdamW(lr=1e-2))
    history, best = fine_tune(
        module, windows, windows, tmp_path / "run", TrainerSettings(max_epochs=4, accelerator="cpu"), 16
    )
    assert best == 1
    assert [row["val_auroc"] for row in history] == pytest.approx([0.6, 0.8, 0.8, 0.7])
    assert torch.equal(module.head.bias, seen[1])
    assert not torch.equal(module.head.bias, seen[3])


def test_a_damaged_best_epoch_is_said(windows: WindowSet, tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(b"PK nonsense")
    with pytest.raises(CheckpointError, match=r"best\.ckpt cannot be read"):
        BestEpoch(tmp_path, windows).restore(classifier(windows))


def test_fewer_windows_than_a_batch_are_one_batch(windows: WindowSet, tmp_path: Path) -> None:
    few = windows[torch.arange(5)]
    module = Classifier(encoder(), few.targets, multilabel=False)
    history, _ = fine_tune(module, few, windows, tmp_path / "run", TrainerSettings(max_epochs=2, accelerator="cpu"), 64)
    assert [row["step"] for row in history] == [1, 2]


def test_views_change_what_is_learned_from_by_the_step_alone(windows: WindowSet) -> None:
    module = classifier(windows, views=Views([AmplitudeScale(factor=(0.5, 2.0), p=1.0)]))
    batch = SimpleNamespace(x=windows.load(torch.arange(8)), row=torch.arange(8))
    seen: list[Tensor] = []
    module.encoder.register_forward_pre_hook(lambda _, x: seen.append(x[0].clone()))
    for number in (3, 3, 4):
        module.step(batch, number)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], batch.x)


def test_the_mean_auroc_leaves_out_what_is_undefined() -> None:
    targets = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], dtype=bool)
    p = np.array([[0.9, 0.1, 0.2], [0.1, 0.2, 0.3], [0.05, 0.3, 0.4]])
    assert macro_auroc(targets, p) == pytest.approx(0.5)
    assert math.isnan(macro_auroc(targets[:, 1:], p[:, 1:]))

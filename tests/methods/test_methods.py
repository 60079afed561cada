"""Methods: the right loss, gradients where they belong, the online encoder exported."""

from __future__ import annotations

import pytest
import torch
from lightly.loss import NTXentLoss

from augmentations import GaussianNoise, MultiCrop, Views
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.errors import UserError
from ssl_ecg.methods import BYOL, DINO, BarlowTwins, JointEmbedding, LeJEPA, MoCo, SimCLR, VICReg
from ssl_ecg.optimisers import LARS, AdamW


def make(cls: type[JointEmbedding], **kwargs: object) -> JointEmbedding:
    torch.manual_seed(0)
    return cls(ResNet1d(1, width=4), Views([GaussianNoise(p=1.0)]), **kwargs)  # type: ignore[arg-type]


X = torch.randn(8, 1, 200, generator=torch.Generator().manual_seed(0))
PATIENT = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize("cls", [SimCLR, BYOL])
def test_views_follow_from_the_step_alone(cls: type[JointEmbedding]) -> None:
    method = make(cls)
    torch.manual_seed(1)
    a = method.looks(X, method.draws(7))
    torch.rand(10)
    b = method.looks(X, method.draws(7))
    assert all(torch.equal(u, v) for u, v in zip(a, b, strict=True))
    assert not torch.equal(a[0], a[1])
    assert not torch.equal(a[0], method.looks(X, method.draws(8))[0])


def test_alike_views_have_a_lower_loss_than_unlike() -> None:
    simclr, byol = make(SimCLR), make(BYOL)
    for method in (simclr, byol):
        same = method.compare([X, X], PATIENT)
        other = method.compare([X, X.flip(0)], PATIENT)
        assert same < other


def test_patient_negatives_equal_separate_losses_of_each_patient() -> None:
    method = make(SimCLR, negatives="patient")
    method.eval()  # batch statistics aside, each patient's loss is its own
    views = method.looks(X, method.draws(0))
    z = [method.head(method.encoder(v)) for v in views]
    criterion = NTXentLoss(0.1)
    wanted = (4 * criterion(z[0][:4], z[1][:4]) + 3 * criterion(z[0][4:7], z[1][4:7])) / 7
    torch.testing.assert_close(method.compare(views, PATIENT), wanted)
    with pytest.raises(UserError, match="patients_per_batch"):
        method.compare(views, torch.arange(8))


def test_byol_target_moves_slowly_towards_the_online_network() -> None:
    method = make(BYOL)
    assert isinstance(method, BYOL)
    with torch.no_grad():
        for p in method.encoder.parameters():
            p += 1
    method.prepare(100, steps=100)
    before = [p.clone() for p in method.target[0].parameters()]
    method.before_step(0)
    for old, new in zip(before, method.target[0].parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.01), atol=1e-5, rtol=1e-4)


def test_a_teacher_grows_less_sure_while_it_warms_up() -> None:
    method = make(DINO, first_temperature=0.04, teacher_temperature=0.08, warmup=0.5)
    assert isinstance(method, DINO)
    method.prepare(100, steps=100)
    found = []
    for step in (0, 25, 50, 99):
        method.before_step(step)
        found.append(method.teacher_temperature)
    assert found == pytest.approx([0.04, 0.06, 0.08, 0.08])


def test_unequal_views_are_refused_where_two_are_compared_and_windows_too_short_for_crops_everywhere() -> None:
    crops = MultiCrop([GaussianNoise()], global_duration=2.0, local_duration=1.0)
    DINO(ResNet1d(1, width=4), crops).check(1, 200, 100)
    with pytest.raises(UserError, match="VICReg compares 2 views: MultiCrop must show 2, not 6"):
        VICReg(ResNet1d(1, width=4), crops).check(1, 200, 100)
    with pytest.raises(UserError, match=r"method.views: MultiCrop: a crop of 2 s does not fit in 1.99 s"):
        DINO(ResNet1d(1, width=4), crops).check(1, 199, 100)
    with pytest.raises(UserError, match=r"DINO compares at least 2 views: method.views.n must be 2, not 1"):
        DINO(ResNet1d(1, width=4), Views([], n=1)).check(1, 200, 100)


@pytest.mark.parametrize("optimiser", [AdamW(), LARS()])
def test_norms_and_biases_do_not_decay(optimiser: AdamW | LARS) -> None:
    method = make(BYOL)
    decayed, plain = optimiser.groups(method)
    assert plain["weight_decay"] == 0 < decayed["weight_decay"]
    assert all(p.ndim > 1 for p in decayed["params"])
    trainable = sum(p.requires_grad for p in method.parameters())
    assert len(decayed["params"]) + len(plain["params"]) == trainable


@pytest.mark.parametrize("optimiser", [AdamW(lr=0.1, warmup=0.1), LARS(lr=0.1, warmup=0.1)])
def test_the_rate_rises_then_falls_to_zero(optimiser: AdamW | LARS) -> None:
    rates = [optimiser.factor(step, 100) for step in range(101)]
    assert rates[9] == rates[10] == 1
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0)


@pytest.mark.parametrize("optimiser", [AdamW(lr=0.01), LARS(lr=1.0)])
def test_optimisers_lower_a_loss(optimiser: AdamW | LARS) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 5)
    opt, schedule = optimiser.configure(layer, 50)
    x = torch.randn(20, 5)
    losses = []
    for _ in range(50):
        loss = (layer(x) - x).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (BYOL, {"momentum": 2}),
        (BarlowTwins, {"redundancy": -1}),
        (DINO, {"temperature": 0}),
        (DINO, {"first_temperature": 0.1}),
        (DINO, {"warmup": 2}),
        (DINO, {"centre": -1}),
        (LeJEPA, {"gaussian": 2}),
        (LeJEPA, {"knots": 1}),
        (MoCo, {"queue": -1}),
        (MoCo, {"temperature": 0}),
        (SimCLR, {"temperature": 0}),
        (VICReg, {"variance": -1}),
    ],
)
def test_impossible_settings_are_refused_by_name(cls: type[JointEmbedding], wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"{cls.__name__}: .*{next(iter(wrong))}|momentum must lie"):
        make(cls, **wrong)


def test_impossible_optimisers_are_refused() -> None:
    with pytest.raises(ValueError, match="must"):
        AdamW(lr=0)
    with pytest.raises(ValueError, match="LARS needs a positive weight_decay"):
        LARS(weight_decay=0)
    with pytest.raises(ValueError, match="warmup"):
        AdamW(warmup=1.0)

"""Mixup and CutMix: what is mixed, with whom, and with which weight."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from augmentations.mixing import CutMix, Mixup, mix_labels, symmetric_beta

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)
kinds = pytest.mark.parametrize("kind", [Mixup, CutMix])
shapes = st.tuples(st.integers(0, 9), st.integers(1, 12), st.one_of(st.integers(1, 5), st.sampled_from([1000, 10_000])))
types = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


@kinds
@quick
@given(shapes, types, st.floats(0.01, 20), st.sampled_from([0.0, 0.5, 1.0]), seeds)
def test_what_holds_whatever_the_settings(kind, shape, dtype, alpha, p, seed):
    x = signal(*shape, seed=seed, dtype=dtype)
    before, state = x.clone(), torch.get_rng_state()
    mixed = kind(alpha, p)(x, 100, seeded(seed))
    assert (mixed.x.shape, mixed.x.dtype, mixed.x.device) == (x.shape, x.dtype, x.device)
    assert mixed.x.isfinite().all() and mixed.x.is_contiguous()
    assert mixed.partner.shape == mixed.weight.shape == (len(x),)
    assert mixed.partner.dtype == torch.int64 and mixed.weight.dtype in (torch.float32, torch.float64)
    assert ((mixed.weight >= 0) & (mixed.weight <= 1)).all()
    assert torch.equal(x, before), "the input was modified"
    assert all(torch.equal(a, b) for a, b in zip(mixed, kind(alpha, p)(x, 100, seeded(seed)), strict=True))
    assert torch.equal(torch.get_rng_state(), state), "drew from the global generator"
    alone = mixed.partner == torch.arange(len(x))
    assert torch.equal(mixed.x[mixed.weight == 1], x[mixed.weight == 1])
    torch.testing.assert_close(mixed.x[alone], x[alone])
    if p == 0:
        assert torch.equal(mixed.x, x) and (mixed.weight == 1).all() and alone.all()


@quick
@given(st.floats(0.05, 5), types, seeds)
def test_mixup_is_the_weighted_sum(alpha, dtype, seed):
    x = signal(20, 3, 50, seed=seed, dtype=dtype)
    mixed = Mixup(alpha)(x, 100, seeded(seed))
    share = mixed.weight.double()[:, None, None]
    expected = share * x.double() + (1 - share) * x.double()[mixed.partner]
    torch.testing.assert_close(mixed.x.double(), expected, atol=8 * torch.finfo(dtype).eps, rtol=0)


@quick
@given(st.floats(0.05, 5), st.integers(1, 400), seeds)
def test_cutmix_replaces_one_span_and_returns_the_exact_share(alpha, length, seed):
    x = (torch.arange(40.0)[:, None, None] + signal(1, 3, length, seed=seed).abs() / 100).contiguous()
    mixed = CutMix(alpha)(x, 100, seeded(seed))
    own = mixed.x == x
    assert torch.equal(own, own[:, :1].expand_as(own)), "leads are cut together"
    assert torch.equal(mixed.x, torch.where(own, x, x[mixed.partner])), "the same span of the partner"
    other = mixed.partner != torch.arange(40)
    torch.testing.assert_close(own[other, 0].float().mean(1), mixed.weight[other])
    spans = torch.nn.functional.pad(~own[:, 0], (1, 0)).int().diff(dim=1).eq(1).sum(1)
    assert spans.max() <= 1


def test_cutmix_places_its_span_evenly():
    x = torch.arange(4000.0)[:, None, None].expand(-1, 1, 100).contiguous()
    foreign = (CutMix()(x, 100, seeded()).x != x)[:, 0].double().mean(0)
    assert (foreign - foreign.flip(0)).abs().max() < 0.05
    assert 0.03 < foreign[0] < 0.08  # the mean over spans L of 1 / (T - L + 1) is 0.052
    assert foreign[50] > 0.5


@kinds
def test_each_sample_has_its_own_coin_weight_and_partner(kind):
    mixed = kind(p=0.3)(signal(3000, 1, 200), 100, seeded())
    touched = mixed.partner != torch.arange(3000)
    assert abs(touched.double().mean() - 0.3) < 0.03
    assert mixed.weight[touched].unique().numel() > 50
    assert (mixed.weight[~touched] == 1).double().mean() > 0.99
    assert mixed.partner[touched].unique().numel() == touched.sum(), "no sample is partner twice"


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 3.0, 50.0])
def test_symmetric_beta_has_its_moments(alpha):
    draws = symmetric_beta(alpha, (200_000,), torch.empty(0, dtype=torch.float64), seeded())
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(draws.mean() - 0.5) < 5 * (variance / 200_000) ** 0.5
    assert draws.var() == pytest.approx(variance, rel=0.02)
    exact = torch.distributions.Beta(torch.tensor(alpha, dtype=torch.float64), alpha)
    torch.manual_seed(0)
    quantiles = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    reference = exact.sample((200_000,)).quantile(quantiles)
    assert (draws.quantile(quantiles) - reference).abs().max() < 0.012


def test_labels_are_mixed_as_the_signals():
    partner, weight = torch.tensor([1, 0, 2]), torch.tensor([0.25, 0.5, 1.0])
    y = torch.tensor([[1, 0], [0, 1], [1, 1]])
    assert mix_labels(y, partner, weight).tolist() == [[0.25, 0.75], [0.5, 0.5], [1, 1]]
    assert mix_labels(torch.tensor([60.0, 80.0, 70.0]), partner, weight).tolist() == [75, 70, 70]
    with pytest.raises(TypeError, match="one_hot"):
        mix_labels(torch.tensor([0, 1, 1]), partner, weight)
    mixed = Mixup()(signal(6, 1, 10), 100, seeded())
    torch.testing.assert_close(mixed.labels(torch.eye(6)).sum(1), torch.ones(6))
    torch.testing.assert_close(mixed.labels(torch.eye(6)) @ signal(6, 1, 10)[:, 0], mixed.x[:, 0])


@kinds
def test_never_waits_for_a_device(kind):
    with FakeTensorMode():  # tensors without values: asking for one, as nonzero or item do, raises
        mixed = kind(p=0.5)(torch.empty(40, 12, 1000, device="cuda"), 100)
        assert mixed.x.shape == (40, 12, 1000)
        assert {part.device.type for part in mixed} == {"cuda"}


@kinds
def test_autocast_changes_nothing(kind):
    x = signal(5, 2, 300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = kind()(x, 100, seeded())
    assert all(torch.equal(a, b) for a, b in zip(mixed, kind()(x, 100, seeded()), strict=True))


@kinds
def test_bad_settings_are_refused_and_good_ones_printed(kind):
    with pytest.raises(ValueError, match="alpha"):
        kind(alpha=0)
    with pytest.raises(ValueError, match="probability"):
        kind(p=1.5)
    with pytest.raises(ValueError, match="samples, leads, time"):
        kind()(torch.zeros(3, 4), 100)
    assert repr(kind(0.5, 0.25)) == f"{kind.__name__}(alpha=0.5, p=0.25)"

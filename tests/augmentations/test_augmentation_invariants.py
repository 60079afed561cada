"""What holds for every augmentation, whatever its settings and whatever the signal."""

import pytest
import torch
from augmentation_kinds import KINDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

import augmentations
from augmentations import (
    Augmentation,
    Views,
)

FS = 500.0
quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def build(kind, p):
    """A strategy for one kind of augmentation, over its settings."""
    return KINDS[kind].build(p)


lengths = st.one_of(st.integers(1, 5), st.integers(1, 700), st.sampled_from([1, 1000, 10_000]))
shapes = st.tuples(st.integers(0, 6), st.integers(1, 12), lengths)
odds = st.sampled_from([0.0, 0.3, 0.5, 1.0])
seeds = st.integers(0, 2**31)


def signal(shape, seed, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def signal_for(kind, shape, seed, dtype=torch.float32):
    batch, leads, length = shape
    return signal((batch, KINDS[kind].leads or leads, length), seed, dtype)


def assert_alike(y, x, kind):
    """Shape, type and device were kept; but for the length where that is the point."""
    if not KINDS[kind].keeps_length:
        assert 1 <= y.shape[-1] <= x.shape[-1]
        x = x[..., : y.shape[-1]]
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)


def run(augmentation, x, seed):
    return augmentation(x, FS, torch.Generator(x.device).manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(st.data(), shapes, seeds, st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16]))
def test_keeps_shape_type_device_and_input_and_stays_finite(kind, data, shape, seed, dtype):
    augmentation = data.draw(build(kind, odds))
    x = signal_for(kind, shape, seed, dtype)
    before = x.clone()
    y = run(augmentation, x, seed)
    assert_alike(y, x, kind)
    assert y.isfinite().all()
    assert y.is_contiguous()
    assert torch.equal(x, before), "the input was modified"


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(st.data(), shapes, seeds)
def test_same_generator_same_result(kind, data, shape, seed):
    augmentation = data.draw(build(kind, odds))
    x = signal_for(kind, shape, seed)
    state = torch.get_rng_state()
    assert torch.equal(run(augmentation, x, seed), run(augmentation, x, seed))
    assert torch.equal(torch.get_rng_state(), state), "drew from the global generator"


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(st.data(), shapes.filter(lambda s: s[0] > 0), seeds, st.sampled_from([torch.float32, torch.bfloat16]))
def test_samples_are_independent(kind, data, shape, seed, dtype):
    augmentation = data.draw(build(kind, odds))
    x = signal_for(kind, shape, seed, dtype)
    changed = data.draw(st.integers(0, shape[0] - 1))
    other = x.clone()
    other[changed] = 7 * signal(x.shape[1:], seed + 1, dtype) + 3
    others = torch.arange(shape[0]) != changed
    assert torch.equal(run(augmentation, x, seed)[others], run(augmentation, other, seed)[others])


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.keeps_length])
@quick
@given(st.data(), shapes, seeds)
def test_p_zero_is_the_identity(kind, data, shape, seed):
    x = signal_for(kind, shape, seed)
    assert torch.equal(run(data.draw(build(kind, st.just(0.0))), x, seed).view(torch.int32), x.view(torch.int32))


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.varies and name != "compose"])
def test_each_sample_has_its_own_coin_and_its_own_parameters(kind):
    wide = KINDS[kind].example(0.3)
    x = signal_for(kind, (1, 2, 100), 0).expand(2000, -1, -1)  # the same sample 2000 times
    y = run(wide, x, 1)
    changed = (y != x).flatten(1).any(1)
    assert 0.25 < changed.float().mean() < 0.35
    assert len(y[changed].flatten(1).unique(dim=0)) > 0.9 * changed.sum()


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.half])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.08)])
def test_half_precision_means_the_same(kind, dtype, tolerance):
    augmentation = KINDS[kind].example(1.0)
    time = torch.arange(10_000) / FS  # long: a position in half precision would be off by several samples
    x = torch.sin(2 * torch.pi * 5 * time).expand(4, KINDS[kind].leads or 2, -1).to(dtype)
    torch.testing.assert_close(run(augmentation, x, 3).float(), run(augmentation, x.float(), 3), atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_autocast_changes_nothing(kind, data):
    augmentation = data.draw(build(kind, st.just(1.0)))
    x = signal_for(kind, (3, 2, 1000), 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = run(augmentation, x, 1)
    assert torch.equal(y, run(augmentation, x, 1))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_never_waits_for_a_device(kind, data):
    augmentation = data.draw(build(kind, odds))
    # Tensors without values: asking for one, as nonzero or item do, raises.
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(40, 12, 1000, device="cuda")
        y = augmentation(x, FS)
        assert_alike(y, x, kind)
        with pytest.raises(DynamicOutputShapeException):
            x.nonzero()


@pytest.mark.parametrize("kind", KINDS)
def test_compiles_into_one_graph(kind):
    torch.compiler.reset()
    augmentation = KINDS[kind].example(0.5)
    compiled = torch.compile(lambda x: augmentation(x, FS), fullgraph=True, backend="eager")
    x = signal_for(kind, (4, 2, 300), 0)
    assert_alike(compiled(x), x, kind)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", KINDS)
@quick
@given(st.data(), shapes, seeds)
def test_on_a_gpu(kind, data, shape, seed):
    augmentation = data.draw(build(kind, odds))
    x = signal_for(kind, shape, seed).cuda()
    y = run(augmentation, x, seed)
    assert_alike(y, x, kind)
    assert y.isfinite().all()
    assert torch.equal(y, run(augmentation, x, seed))


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(st.data(), shapes, seeds, st.integers(1, 4))
def test_views(kind, data, shape, seed, n):
    views = Views([data.draw(build(kind, odds))], n=n)
    x = signal_for(kind, shape, seed)
    before = x.clone()
    made = views(x, FS, torch.Generator().manual_seed(seed))
    assert len(made) == n
    for view in made:
        assert_alike(view, x, kind)
    again = views(x, FS, torch.Generator().manual_seed(seed))
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    assert torch.equal(x, before)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5, deadline=None)
@given(st.data())
def test_prints_as_it_is_built(kind, data):
    augmentation = data.draw(build(kind, odds))
    assert isinstance(augmentation, Augmentation)
    assert f"p={augmentation.p}" in repr(augmentation) or not KINDS[kind].keeps_length
    assert repr(eval(repr(augmentation), dict(vars(augmentations)))) == repr(augmentation)

"""What changes among the leads promise; and the vectorcardiogram, which takes 12 leads only."""

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentations.leads import LeadDropout, LeadMixing, LeadPermutation, mix_leads, permute_leads
from augmentations.vcg import VCGRotation, VCGScale, change_vcg, rotations, vcg_matrices

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)
I, II, III, AVR, AVL, AVF = range(6)  # noqa: E741

# As printed by Edenbrandt & Pahlm, for V1 to V6, I and II.
PUBLISHED_INVERSE = torch.tensor(
    [
        [-0.172, -0.074, 0.122, 0.231, 0.239, 0.194, 0.156, -0.010],
        [0.057, -0.019, -0.106, -0.022, 0.041, 0.048, -0.227, 0.887],
        [-0.229, -0.310, -0.246, -0.063, 0.055, 0.108, 0.022, 0.102],
    ],
    dtype=torch.float64,
)
# As printed by Dower et al., for all 12, of which III, aVR, aVL and aVF are rounded on their own.
PUBLISHED_DOWER = torch.tensor(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.397, 1.301, -0.191],
        [-0.434, -0.415, 0.037],
        [0.515, -0.768, 0.125],
        [-0.081, 1.184, -0.162],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ],
    dtype=torch.float64,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def ecg(batch=10, length=60, seed=0):
    """12 leads that keep the laws of Einthoven and Goldberger, with more in the chest leads than a dipole explains."""
    one, two = randn(2, batch, 1, length, seed=seed)
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return torch.cat([*limbs, randn(batch, 6, length, seed=seed + 1)], dim=1)


def assert_limb_leads_agree(x):
    torch.testing.assert_close(x[:, I] + x[:, III], x[:, II])
    torch.testing.assert_close(x[:, AVR], -(x[:, I] + x[:, II]) / 2)
    torch.testing.assert_close(x[:, AVL], (x[:, I] - x[:, III]) / 2)
    torch.testing.assert_close(x[:, AVF], (x[:, II] + x[:, III]) / 2)


# ---- dropout


@quick
@given(st.floats(0, 1), st.integers(1, 12), seeds)
def test_dropout_zeroes_whole_leads_but_never_all(drop, leads, seed):
    x = randn(200, leads, 5, seed=seed)
    y = LeadDropout(drop, p=1)(x, 100, seeded(seed))
    dropped = (y == 0).all(-1)
    assert torch.equal(y[~dropped], x[~dropped])
    assert dropped.sum(1).max() <= leads - 1


def test_dropout_drops_with_its_probability():
    x = torch.ones(5000, 12, 1)
    for drop in (0.0, 0.1, 0.5):
        share = (LeadDropout(drop, p=1)(x, 100, seeded()) == 0).double().mean((0, 2))
        assert (share - drop).abs().max() < 0.03
    one = LeadDropout(1, p=1)(x, 100, seeded())[..., 0]
    assert one.sum(1).eq(1).all()
    assert (one.mean(0) - 1 / 12).abs().max() < 0.02, "each lead is as likely to be kept"


def test_dropout_of_a_single_lead_drops_nothing():
    x = randn(50, 1, 9)
    assert torch.equal(LeadDropout(1, p=1)(x, 100), x)


# ---- permutation


@quick
@given(st.integers(1, 12), st.floats(0, 1), seeds)
def test_permutation_keeps_every_lead(leads, shuffle, seed):
    x = torch.arange(leads, dtype=torch.float64)[:, None].expand(100, -1, 7)
    x = x + 0.01 * torch.arange(7)
    y = LeadPermutation(shuffle, p=1)(x, 100, seeded(seed))
    assert torch.equal(y.sort(dim=1).values, x)
    if leads == 1 or shuffle == 0:
        assert torch.equal(y, x)


def test_permutation_makes_each_order_as_often():
    x = torch.arange(3.0).view(1, 3, 1).expand(6000, -1, 2)
    orders = [tuple(row) for row in LeadPermutation(p=1)(x, 100, seeded())[..., 1].tolist()]
    assert all(abs(orders.count(order) / 6000 - 1 / 6) < 0.02 for order in permutations([0.0, 1.0, 2.0]))


def test_leads_that_take_no_part_stay():
    x = torch.arange(12.0).view(1, 12, 1).expand(5000, -1, 1)
    moved = (LeadPermutation(0.3, p=1)(x, 100, seeded()) != x).double().mean()
    # A lead moves if it takes part and is not left in its place: of n that take part, one on average is.
    expected = 0.3 - (1 - 0.7**12) / 12
    assert abs(moved - expected) < 0.01


def test_permute_leads_is_indexing():
    x, order = randn(4, 5, 6), torch.rand(4, 5, generator=seeded()).argsort(1)
    assert torch.equal(permute_leads(x, order), torch.stack([x[b, order[b]] for b in range(4)]))


# ---- mixing


def mixing_matrices(strength, leads, seed=0, batch=200):
    """What LeadMixing multiplies by: what it makes of one lead at a time."""
    eye = torch.eye(leads, dtype=torch.float64).expand(batch, -1, -1)
    return LeadMixing((strength, strength), p=1)(eye, 100, seeded(seed))


@quick
@given(st.floats(0, 1), st.integers(2, 12), seeds)
def test_mixing_has_the_stated_weights(strength, leads, seed):
    matrix = mixing_matrices(strength, leads, seed)
    own = matrix.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(own, torch.full_like(own, math.sqrt(1 - strength**2)))
    torch.testing.assert_close(matrix.norm(dim=2), torch.ones_like(own))
    if strength > 0.01:
        assert len(matrix.flatten(1).unique(dim=0)) > (150 if leads > 2 else 3)


def test_mixing_is_the_identity_at_zero_and_for_one_lead():
    x = randn(5, 4, 30)
    torch.testing.assert_close(LeadMixing((0, 0), p=1)(x, 100), x)
    assert torch.equal(LeadMixing((1, 1), p=1)(x[:, :1], 100), x[:, :1])


def test_mixing_prefers_no_direction():
    matrix = mixing_matrices(1.0, 4, batch=5000)
    assert matrix.mean(0).abs().max() < 0.04
    assert (matrix.square().mean(0) - (1 - torch.eye(4)) / 3).abs().max() < 0.02


def test_mix_leads_is_the_matrix_product():
    x, matrix = randn(3, 4, 50), randn(3, 4, 4)
    torch.testing.assert_close(mix_leads(x, matrix), torch.einsum("bij,bjt->bit", matrix, x))


# ---- the vectorcardiogram


def test_matrices_are_the_published_ones():
    inverse, dower = vcg_matrices(torch.empty(0, dtype=torch.float64))
    assert (dower - PUBLISHED_DOWER).abs().max() < 0.0006
    assert torch.equal(dower[[0, 1, *range(6, 12)]], PUBLISHED_DOWER[[0, 1, *range(6, 12)]])
    assert (inverse[:, [*range(6, 12), 0, 1]] - PUBLISHED_INVERSE).abs().max() < 0.0006
    assert inverse[:, 2:6].eq(0).all(), "III, aVR, aVL and aVF add nothing"
    torch.testing.assert_close(inverse @ dower, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(dower @ inverse @ dower @ inverse, dower @ inverse)
    assert_limb_leads_agree(dower[None])


@quick
@given(st.tuples(*[st.floats(-4, 4)] * 3), seeds)
def test_rotations_are_rotations(angle, seed):
    turn = rotations(torch.tensor([angle], dtype=torch.float64))[0]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(turn), torch.tensor(1.0, dtype=torch.float64))


def test_rotations_turn_about_x_then_y_then_z_with_the_right_hand():
    quarter, none = math.pi / 2, 0.0
    x, y, z = torch.eye(3, dtype=torch.float64)
    for angle, start, end in (
        ((quarter, none, none), y, z),
        ((none, quarter, none), z, x),
        ((none, none, quarter), x, y),
        ((quarter, quarter, none), y, x),  # about x: y to z; about y: z to x
        ((none, quarter, quarter), z, y),  # about y: z to x; about z: x to y
    ):
        torch.testing.assert_close(rotations(torch.tensor([angle], dtype=torch.float64))[0] @ start, end)


@quick
@given(st.floats(-180, 180), st.floats(0, 180), st.booleans(), seeds)
def test_rotation_keeps_the_length_of_the_vector_and_einthovens_law(low, width, keep, seed):
    x = ecg(seed=seed)
    y = VCGRotation((low, min(low + width, 180)), keep, p=1)(x, 100, seeded(seed))
    inverse, dower = vcg_matrices(x)
    torch.testing.assert_close((inverse @ y).norm(dim=1), (inverse @ x).norm(dim=1))
    assert_limb_leads_agree(y)
    residual = y - dower @ inverse @ y
    kept = x - dower @ inverse @ x if keep else torch.zeros_like(x)
    torch.testing.assert_close(residual, kept, atol=1e-9, rtol=1e-7)


def test_no_rotation_is_the_identity_or_the_projection():
    x = ecg()
    inverse, dower = vcg_matrices(x)
    for still in (VCGRotation((0, 0), p=1), VCGScale((1, 1), p=1)):
        torch.testing.assert_close(still(x, 100), x)
    for still in (VCGRotation((0, 0), False, p=1), VCGScale((1, 1), False, p=1)):
        torch.testing.assert_close(still(x, 100), dower @ inverse @ x)
        assert (still(x, 100) - x).abs().max() > 0.1, "this signal is more than a dipole"
        torch.testing.assert_close(still(dower @ inverse @ x, 100), dower @ inverse @ x)


def test_rotation_draws_degrees_for_each_axis():
    inverse, dower = vcg_matrices(torch.empty(0, dtype=torch.float64))
    y = VCGRotation((-40, 20), p=1)(dower.expand(3000, -1, -1), 100, seeded())  # a dipole along each axis
    turn = inverse @ y
    x = torch.atan2(turn[:, 2, 1], turn[:, 2, 2]).rad2deg()  # the angles back, of R_z R_y R_x
    y = torch.asin(-turn[:, 2, 0]).rad2deg()
    z = torch.atan2(turn[:, 1, 0], turn[:, 0, 0]).rad2deg()
    for angle in (x, y, z):
        assert -40 <= angle.min() < -39
        assert 19 < angle.max() <= 20
        assert abs(angle.mean() + 10) < 1.5
    assert torch.corrcoef(torch.stack([x, y, z])).fill_diagonal_(0).abs().max() < 0.06


def test_scale_stretches_each_axis_log_uniformly_and_keeps_einthovens_law():
    inverse, dower = vcg_matrices(torch.empty(0, dtype=torch.float64))
    stretch = inverse @ VCGScale((0.25, 4), p=1)(dower.expand(4000, -1, -1), 100, seeded())
    factor = stretch.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(stretch, factor.diag_embed())
    octaves = torch.stack([torch.histc(axis.log2(), bins=4, min=-2, max=2) for axis in factor.T]) / 4000
    assert (octaves - 0.25).abs().max() < 0.04
    assert torch.corrcoef(factor.log().T).fill_diagonal_(0).abs().max() < 0.06
    assert_limb_leads_agree(VCGScale(p=1)(ecg(), 100, seeded()))
    assert_limb_leads_agree(VCGScale(keep_residual=False, p=1)(ecg(), 100, seeded()))


def test_change_vcg_is_the_three_matrices():
    x, change = ecg(), randn(10, 3, 3)
    inverse, dower = vcg_matrices(x)
    moved = dower @ change @ inverse @ x
    torch.testing.assert_close(change_vcg(x, change, keep_residual=False), moved)
    torch.testing.assert_close(change_vcg(x, change), moved + x - dower @ inverse @ x)


@pytest.mark.parametrize("leads", [1, 3, 8, 15])
def test_other_than_12_leads_are_refused(leads):
    for augmentation in (VCGRotation(p=1), VCGScale(p=1)):
        with pytest.raises(ValueError, match=f"12 leads I, II, III.*not from {leads}: .*LeadMixing"):
            augmentation(torch.zeros(2, leads, 5), 100)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LeadDropout(drop=1.1), "drop is a probability"),
        (lambda: LeadPermutation(shuffle=-0.1), "shuffle is a probability"),
        (lambda: LeadMixing(strength=(0, 1.1)), "strength is a range .* <= 1"),
        (lambda: VCGRotation(degrees=(0, 181)), "degrees is a range .* <= 180"),
        (lambda: VCGRotation(degrees=(10, -10)), "degrees is a range"),
        (lambda: VCGScale(factor=(0, 1)), "factor is a range"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

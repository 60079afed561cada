import math

import pytest
import torch
from torch.nn.functional import normalize, pdist

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.diagnostics import (
    alignment,
    collapsed,
    diagnose,
    effective_rank,
    spread,
    uniformity,
)


def noise(n=1000, d=32, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_isotropic_embeddings_fill_their_space():
    found = diagnose(noise(), noise(seed=1))
    assert found.spread == pytest.approx(1, abs=0.02)
    assert found.effective_rank == pytest.approx(32, abs=0.3)
    assert found.uniformity == pytest.approx(-3.76, abs=0.05)
    assert found.alignment == pytest.approx(2, abs=0.05)
    assert (found.samples, found.dimensions) == (1000, 32)
    assert collapsed(found) is None


def test_all_in_one_point():
    message = collapsed(diagnose(torch.ones(100, 32) + 1e-3 * noise(100)))
    assert message is not None
    assert "all 100 embeddings" in message
    assert collapsed(diagnose(torch.zeros(10, 4))) is not None


def test_all_on_one_line():
    found = diagnose(noise(d=1) * noise(1) + 1e-3 * noise())
    assert found.spread > 0.5
    assert "effective rank 1.1 of 32" in (collapsed(found) or "")


def test_diverged():
    broken = noise()
    broken[3, 1] = math.nan
    assert "not finite" in (collapsed(diagnose(broken)) or "")


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_effective_rank_counts_equal_directions(rank):
    basis = torch.linalg.qr(noise(50, rank))[0]
    assert effective_rank(basis @ torch.linalg.qr(noise(32, rank))[0].T) == pytest.approx(rank, rel=1e-3)


def test_uniformity_is_the_papers_formula():
    z = noise(50)
    expected = pdist(normalize(z, dim=1)).pow(2).mul(-2).exp().mean().log()
    assert uniformity(z) == pytest.approx(float(expected), abs=1e-5)
    assert uniformity(torch.ones(9, 4)) == pytest.approx(0, abs=1e-5)
    assert uniformity(torch.zeros(9, 4)) == pytest.approx(0, abs=1e-5)


def test_alignment_and_spread_see_directions_only():
    z = noise()
    assert alignment(z, 3 * z) == pytest.approx(0, abs=1e-6)
    assert alignment(z, -z) == pytest.approx(4, abs=1e-5)
    assert spread(5 * z) == pytest.approx(spread(z), rel=1e-5)


def test_what_it_refuses():
    with pytest.raises(UserError, match="at least two"):
        diagnose(noise(1))
    with pytest.raises(UserError, match="expected views"):
        diagnose(noise(), noise(5))

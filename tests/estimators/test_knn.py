import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.nn.functional import normalize

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.knn import knn_predict


def clouds(n=300, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.multinomial(torch.tensor([0.8, 0.15, 0.05]), n, replacement=True, generator=g)
    return torch.randn(n, 8, generator=g) + 1.5 * torch.eye(3, 8)[y], y


def test_it_is_scikit_learns_with_cosine_distance():
    bank, y = clouds()
    queries = clouds(seed=1)[0]
    theirs = KNeighborsClassifier(15, metric="cosine", weights=lambda d: torch.exp((1 - torch.tensor(d)) / 0.2).numpy())
    expected = theirs.fit(bank.numpy(), y.numpy()).predict_proba(queries.numpy())
    found = knn_predict(bank, y, queries, 3, k=15, temperature=0.2, balanced=False, batch_size=77)
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), atol=1e-4, rtol=0)


def test_balanced_votes_find_rare_classes_more_often():
    bank, y = clouds()
    queries, truth = clouds(seed=1)
    plain, balanced = (knn_predict(bank, y, queries, 3, balanced=b).argmax(dim=1) for b in (False, True))
    rare = truth == 2
    assert (balanced[rare] == 2).float().mean() > (plain[rare] == 2).float().mean()


def test_scale_and_cold_votes_are_no_problem():
    bank, y = clouds()
    queries = clouds(seed=1)[0]
    torch.testing.assert_close(knn_predict(bank * 1e3, y, queries, 3), knn_predict(bank, y, queries * 1e-3, 3))
    assert knn_predict(bank, y, queries, 3, temperature=1e-4).isfinite().all()


def test_few_or_no_samples():
    bank, y = clouds(n=5)
    assert knn_predict(bank, y, bank, 4, k=20).shape == (5, 4)
    assert knn_predict(bank, y, bank[:0], 4).shape == (0, 4)
    nearest = knn_predict(bank, y, normalize(bank, dim=1), 3, k=1).argmax(dim=1)
    torch.testing.assert_close(nearest, y)


def test_votes_for_several_classes_are_those_for_each_against_the_rest():
    bank, y = clouds()
    queries = clouds(seed=1)[0]
    targets = torch.stack([y == 0, y >= 1, y == 2], dim=1)
    found = knn_predict(bank, targets, queries, k=15, batch_size=77)
    for mine, share in zip(targets.T, found.T, strict=True):
        expected = knn_predict(bank, mine.long(), queries, 2, k=15, balanced=False)[:, 1]
        torch.testing.assert_close(share, expected)
    assert knn_predict(bank, targets, queries[:0]).shape == (0, 3)


def test_what_it_refuses():
    bank, y = clouds(n=5)
    with pytest.raises(UserError, match="expected embeddings"):
        knn_predict(bank, y, bank[:, :3], 3)
    with pytest.raises(UserError, match="expected embeddings"):
        knn_predict(bank[:0], y[:0], bank, 3)
    with pytest.raises(UserError, match="expected 5 labels"):
        knn_predict(bank, y + 9, bank, 3)
    with pytest.raises(UserError, match="labels or targets of 5 samples"):
        knn_predict(bank, y[:4, None] == torch.arange(3), bank)

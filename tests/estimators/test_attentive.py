"""The attentive probe: what a mean over tokens hides, attention finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.attentive import Attention, Tokens, fit_attentive


def rare_sign(n: int, seed: int = 0, classes: int = 2) -> tuple[Tokens, np.ndarray, np.ndarray]:
    """Samples of 5 to 40 tokens, one of which says the class, and others the opposite to no avail."""
    rng = np.random.default_rng(seed)
    count, y = rng.integers(5, 40, n), rng.integers(0, classes, n)
    values = rng.normal(size=(count.sum(), 8)).astype(np.float32)
    for first, size, label in zip(count.cumsum() - count, count, y, strict=True):
        at = first + rng.integers(size)
        values[at, 0] = 6  # look here
        values[at, 1] = 3 * label - 1.5
    return Tokens(torch.from_numpy(values).half(), torch.from_numpy(count)), y, np.arange(n).astype(str)


def test_one_telling_token_among_many_is_found_in_samples_not_fitted_on() -> None:
    tokens, y, patients = rare_sign(700)
    learn = np.arange(700) < 500
    targets = y[:, None] == np.arange(2)
    probe = fit_attentive({"t": tokens[learn]}, targets[learn], patients[learn], exclusive=True, epochs=40)
    p = probe.predict_proba({"t": tokens[~learn]})
    assert (p.argmax(1) == y[~learn]).mean() > 0.9
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(probe.decision, targets[learn].mean(0))
    assert np.isnan(probe.chosen.macro_auroc)
    again = fit_attentive({"t": tokens[learn]}, targets[learn], patients[learn], exclusive=True, epochs=40)
    np.testing.assert_array_equal(again.predict_proba({"t": tokens[~learn]}), p)


def test_held_out_patients_score_it_and_give_thresholds_where_classes_go_together() -> None:
    tokens, y, patients = rare_sign(700)
    targets = np.stack([y == 0, y == 1, np.ones(700, dtype=bool)], 1)
    split = np.arange(700) >= 500
    probe = fit_attentive({"t": tokens}, targets, patients, exclusive=False, validation=split, epochs=40)
    assert probe.chosen.macro_auroc > 0.9
    p = probe.predict_proba({"t": tokens})
    assert ((p[split] >= probe.decision) == targets[split]).mean() > 0.85
    some = np.arange(700) < 100
    folds = fit_attentive(
        {"t": tokens[some]}, targets[some, :2], patients[some], exclusive=True, cross_validate=True, epochs=2
    )
    assert 0 < folds.chosen.macro_auroc < 1


@settings(max_examples=20)
@given(count=st.lists(st.integers(1, 9), min_size=1, max_size=6), data=st.data())
def test_samples_keep_their_tokens_whatever_is_beside_them(count: list[int], data: st.DataObject) -> None:
    total = sum(count)
    tokens = Tokens(torch.arange(total * 2.0).reshape(total, 2), torch.tensor(count))
    rows = data.draw(st.lists(st.integers(0, len(count) - 1), min_size=1, max_size=8))
    x, there = tokens.padded(torch.tensor(rows))
    network = Attention(2, 3, heads=2, values=2, dropout=0.0).eval()
    for place, row in enumerate(rows):
        first = sum(count[:row])
        mine = tokens.values[first : first + count[row]]
        torch.testing.assert_close(x[place][there[place]], mine)
        alone = network(mine[None], torch.ones(1, len(mine), dtype=torch.bool))
        torch.testing.assert_close(network(x, there)[place], alone[0], rtol=1e-4, atol=1e-4)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(count), max_size=len(count))))
    some = tokens[mask]
    assert some.count.tolist() == [c for c, keep in zip(count, mask, strict=True) if keep]


def test_what_is_no_token_is_refused() -> None:
    with pytest.raises(UserError, match="reads tokens alone, not pretrained, RR"):
        fit_attentive(
            {"pretrained": np.zeros((3, 2)), "RR": np.zeros((3, 2))}, np.eye(3) > 0, np.arange(3), exclusive=True
        )

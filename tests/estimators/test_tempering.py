"""Decisions heed how common classes are as far as serves on held-out patients."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.estimators.tempering import EXPONENTS, temper
from ssl_ecg.metrics.scores import confusion_matrix, f1


def drawn(people: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Two classes, one rare, whose means are two standard deviations apart, and 20 features that say nothing."""
    rng = np.random.default_rng(seed)
    y = (rng.random(100 * people) < 0.04).astype(np.int64)
    x = rng.normal(size=(len(y), 21)).astype(np.float32)
    x[:, 0] += 2.5 * y
    return {"x": x}, y, np.repeat([f"p{i}" for i in range(people)], 100)


@pytest.mark.parametrize("c", [1e-6, 1.0])
def test_a_rare_class_is_found_however_unsure_the_probe_is(c: float) -> None:
    blocks, y, patients = drawn(30, 0)
    probe = fit_probe(blocks, y, patients, 2, cs=[c])
    decision, exponent = temper(probe, blocks, y, patients)
    assert exponent in EXPONENTS and np.allclose(decision, probe.decision**exponent)
    others, truth, _ = drawn(100, 1)
    p = probe.predict_proba(others)

    def score(heeding: np.ndarray) -> float:
        return float(np.mean(f1(confusion_matrix(truth, (p * heeding).argmax(axis=1), 2))))

    best = max(score(probe.decision**power) for power in EXPONENTS)
    assert score(decision) > best - 0.03
    if c < 1:  # whole priors never call the rare class
        assert exponent < 0.3 and score(decision) > score(probe.decision) + 0.1
    else:
        assert exponent > 0.3


def test_one_patient_tells_nothing_about_others() -> None:
    blocks, y, patients = drawn(2, 0)
    probe = fit_probe(blocks, y, patients, 2, cs=[1.0])
    with pytest.raises(UserError, match="two patients"):
        temper(probe, blocks, y, np.full(len(y), "p"))


def test_a_class_of_one_patient_has_no_say_and_is_not_called_elsewhere() -> None:
    blocks, y, patients = drawn(30, 0)
    odd = (patients == "p0") & (np.arange(len(y)) % 2 == 0)
    blocks["x"][odd, 1] += 3
    y = np.where(odd, 2, y)
    probe = fit_probe(blocks, y, patients, 3, cs=[1e-3])
    decision, exponent = temper(probe, blocks, y, patients)
    assert decision[2] == probe.decision[2] and np.allclose(decision[:2], probe.decision[:2] ** exponent)
    elsewhere = patients != "p0"
    p = probe.predict_proba(blocks)[elsewhere]
    assert ((p * decision).argmax(axis=1) == 2).sum() < ((p * probe.decision**exponent).argmax(axis=1) == 2).sum()

"""Training by gradients, on drawn leads of which every wave is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tapes import FS, drawn, regular

from ssl_ecg.data.source import Waves
from ssl_ecg.delineate import openecg
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.evaluate import cross_validate, fit_head, maps_of
from ssl_ecg.delineate.tuning import Tuning, tune
from ssl_ecg.encoders import ConvGRU
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.waves.features import Frozen, RawSamples, condition
from ssl_ecg.waves.head import Head, load_head, save_head
from ssl_ecg.waves.phases import UNMARKED, classes_of

P = Preprocessing(fs=100, leads=("ECG",), window=9, normalise="record")
ENDS = {"P": (-0.21, -0.11), "QRS": (-0.04, 0.07), "T": (0.16, 0.40)}
"""Where the waves of a drawn beat begin and end, s from its peak."""


def lead(number: int) -> Lead:
    times = regular(10, seed=number)[1:-1]
    signal = drawn(times, np.zeros(len(times), dtype=bool), 10, seed=number)[0]
    ends = np.array([[(at + on, at + off) for on, off in ENDS.values()] for at in times]).reshape(-1, 2)
    onset, offset = np.rint(ends * FS).astype(np.int64).T
    labels = np.array([*ENDS] * len(times), dtype=np.str_)
    marked = Waves("II", labels, onset, (onset + offset) // 2, offset, np.array([[onset[0], offset[-1] + 1]]))
    x = condition(P, torch.from_numpy(signal)[None], FS)[0]
    return Lead(f"p{number}", str(number), "II", (), signal, FS, x, marked)


@pytest.fixture(scope="module")
def leads() -> list[Lead]:
    return [lead(number) for number in range(4)]


@pytest.fixture
def frozen() -> Frozen:
    torch.manual_seed(0)
    return Frozen("pretrained", ConvGRU(1, width=8, context=8).eval().requires_grad_(False), 100.0)


def wrong(system: Frozen, head: Head, leads: list[Lead]) -> float:
    """Mean cross-entropy of the phases."""
    found = []
    for each in leads:
        classes = torch.from_numpy(classes_of(each.marked, FS, 100.0, len(each.x)))
        said = head.logits(system.maps(each.x), len(each.x))
        found.append(torch.nn.functional.cross_entropy(said, classes, ignore_index=UNMARKED))
    return float(torch.stack(found).mean())


@pytest.mark.parametrize("end_to_end", [False, True])
def test_training_helps_and_leaves_what_it_began_with(leads: list[Lead], frozen: Frozen, end_to_end: bool) -> None:
    head = fit_head(maps_of(frozen, leads), leads, 100.0, 0.16, 0)
    before = {name: value.clone() for name, value in frozen.encoder.state_dict().items()}
    system, tuned = tune(frozen, head, leads, 100.0, Tuning(True, end_to_end, 25), 0)
    assert isinstance(system, Frozen) and (system is frozen) == (not end_to_end)
    assert wrong(system, tuned, leads) < wrong(frozen, head, leads)
    assert all(torch.equal(value, before[name]) for name, value in frozen.encoder.state_dict().items())
    _, again = tune(frozen, head, leads, 100.0, Tuning(True, end_to_end, 25), 0)
    assert torch.equal(again.weight, tuned.weight)


def test_a_convolutional_head_is_kept(leads: list[Lead], frozen: Frozen, tmp_path: Path) -> None:
    head = fit_head(maps_of(frozen, leads), leads, 100.0, 0.16, 0)
    _, tuned = tune(frozen, head, leads, 100.0, Tuning(True, False, 3), 0)
    save_head(tmp_path, tuned, "abc", {})
    read, _ = load_head(tmp_path, "abc")
    maps = frozen.maps(leads[0].x)
    np.testing.assert_array_equal(read.scores(maps, 500), tuned.scores(maps, 500))
    together = frozen.together(torch.stack([leads[0].x, leads[1].x]))
    np.testing.assert_allclose(read.scores(together, 1000)[0], tuned.scores(maps, 1000), atol=1e-4)


def test_every_system_can_be_tuned_in_folds(leads: list[Lead], frozen: Frozen) -> None:
    fold = {each.patient: number % 2 for number, each in enumerate(leads)}
    for system in (frozen, RawSamples(100.0, seconds=0.1)):
        how = Tuning(True, system is frozen, 2)
        (outcome,) = cross_validate(system, leads, fold, [2], 100.0, 0.16, 0, tuning=how)
        assert outcome.counts[:, :, :, :3].sum() > 0


def test_openecg_is_asked_for_or_named(leads: list[Lead], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openecg, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="openecg is not installed: pip install openecg"):
        openecg.require()


def test_openecg_finds_the_waves_of_a_lead(leads: list[Lead]) -> None:
    pytest.importorskip("openecg")
    found = openecg.find(leads[0].signal, FS)
    assert (found.onset < found.offset).all() and 8 <= (found.labels == "QRS").sum() <= 12

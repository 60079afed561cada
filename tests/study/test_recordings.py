"""Recordings longer than a window are embedded as a user embeds them: all of them, not their beginning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.data.sources import CinC2017, Simulated
from ssl_ecg.data.windows import WindowIndex, WindowSet
from ssl_ecg.finetune.training import Classifier
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import Study, open_study
from ssl_ecg.study.context import Context
from ssl_ecg.study.hand import record_features
from ssl_ecg.study.recordings import every_window
from ssl_ecg.study.systems import systems


def some_records(shared_data: Path, root: Path, each: int = 6) -> CinC2017:
    """The first recordings of each side of the challenge of 2017."""
    whole = CinC2017(str(shared_data / "cinc2017"), download=False)
    (root / "training2017").mkdir()
    (root / "REFERENCE-v3.csv").write_bytes((whole.root / "REFERENCE-v3.csv").read_bytes())
    found = {"train": 0, "val": 0, "test": 0}
    for number in range(60):
        split = whole.read(number).split
        found[split] += 1
        for file in whole.files(number) if found[split] <= each else ():
            (root / file).symlink_to(whole.root / file)
    return CinC2017(str(root), download=False)


@pytest.mark.parametrize("normalise", ["window", "record"])
def test_a_recording_is_embedded_as_by_the_encoder_itself(shared_data: Path, tmp_path: Path, normalise: str) -> None:
    source = some_records(shared_data, tmp_path)
    preprocessing = Preprocessing(leads=("ECG",), window=9, normalise=normalise)
    study = open_study(fresh_checkpoint(tmp_path / "run", preprocessing), source, str(tmp_path / "cache"))
    pretrained, hand = systems(study, beside=["hand features"])
    (in_one_piece,) = systems(study, beside=[], context=Context("whole"))
    z, in_one = pretrained.features(study.test), in_one_piece.features(study.test)
    assert len(set(study.store.length[study.test.index.record].tolist())) > 1
    for row, whole, name in zip(z, in_one, study.test.record.tolist(), strict=True):
        recording = source.read(source.records.index(name))
        for mine, as_it_is in ((row, False), (whole, True)):
            expected = study.encoder(recording.signal, recording.fs, recording.leads, whole=as_it_is)
            np.testing.assert_allclose(mine, expected, atol=2e-3 * np.abs(expected).max())  # the store has 16 bits
    assert np.abs(z - in_one).max() > 0.01
    measured = hand.features(study.test)
    for row, record in zip(measured, study.test.index.record.tolist(), strict=True):
        x = study.store.gather(torch.tensor([record]), torch.tensor([0]), int(study.store.length[record]))
        np.testing.assert_allclose(row, record_features(x.numpy(), study.store.fs)[0])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Simulated recordings of three windows and a bit."""
    here = tmp_path_factory.mktemp("long")
    checkpoint = fresh_checkpoint(here, Preprocessing(leads=("II",), window=2))
    return open_study(checkpoint, Simulated(patients=24, records_per_patient=1, duration=7), str(here / "cache"))


def test_every_system_averages_over_the_windows_of_a_recording(long: Study) -> None:
    many, count = every_window(long.test)
    assert count.tolist() == [6] * len(long.test)
    pretrained, untrained, pca = systems(long, beside=["untrained", "raw PCA"])
    for system in (pretrained, untrained):
        z = system.context.embed(system.encoder, many, "")  # type: ignore[attr-defined]
        np.testing.assert_allclose(system.features(long.test), z.reshape(-1, 6, z.shape[1]).mean(1), atol=1e-5)
    first = np.concatenate([pca._fitted(x.numpy()) for x in many.batches()])  # type: ignore[attr-defined]
    np.testing.assert_allclose(pca.features(long.test), first.reshape(-1, 6, first.shape[1]).mean(1), atol=1e-4)


def test_a_classifier_averages_the_probabilities_of_the_windows(long: Study) -> None:
    learn, count = every_window(long.train, overlap=0)
    assert count.tolist() == [4] * len(long.train)
    np.testing.assert_array_equal(learn.label, np.repeat(long.train.label, 4))
    encoder = load_encoder_again(long)
    classifier = Classifier(encoder, learn.targets, multilabel=False).eval()
    many, _ = every_window(long.test)
    with torch.inference_mode():
        each = torch.cat([classifier(x).softmax(1) for x in many.batches()]).unflatten(0, (-1, 6)).mean(1)
    np.testing.assert_allclose(classifier.probabilities(long.test), each, atol=1e-6)


def load_encoder_again(study: Study) -> torch.nn.Module:
    """The encoder of a study, made anew, so that training one does not move the other."""
    encoder = study.encoder.encoder
    fresh = type(encoder)(**encoder.arguments)
    fresh.load_state_dict(encoder.state_dict())
    return fresh


class Lengths:
    """As much of a store as windows need: recordings of these lengths, whose classes are those of recordings."""

    task = "record"

    def __init__(self, length: list[int]) -> None:
        self.length = torch.tensor(length)


@given(
    length=st.lists(st.integers(200, 5000), min_size=1, max_size=5),
    overlap=st.sampled_from([0, 0.25, 0.5, 0.75]),
    window=st.floats(0.5, 2),
)
def test_windows_cover_a_recording_from_end_to_end(length: list[int], overlap: float, window: float) -> None:
    n = torch.arange(len(length))
    windows = WindowSet(
        Lengths(length),  # type: ignore[arg-type]
        Preprocessing(leads=("II",), window=round(window, 2)),
        WindowIndex(n, torch.zeros_like(n), n, torch.full_like(n, -1)),
    )
    samples = windows.preprocessing.samples
    many, count = every_window(windows, overlap)
    for record, start in zip(n.tolist(), many.index.start.split(count.tolist()), strict=True):
        assert start[0] == 0 and start[-1] == length[record] - samples
        steps = start.diff()
        assert len(start) == 1 or ((steps > 0).all() and (steps <= max(1, samples * (1 - overlap)) + 1).all())
    assert many.index.record.tolist() == torch.repeat_interleave(n, count).tolist()

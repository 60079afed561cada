"""Beats read from their whole recording, and embeddings centred by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from toy import Toy

from ssl_ecg.checkpoint.long import embed_at, embed_stretches
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study
from ssl_ecg.study.context import COMPONENTS, EDGES, Context
from ssl_ecg.study.systems import Frozen, systems


def test_beats_in_context_are_centred_by_all_beats_of_their_recording(tmp_path: Path) -> None:
    p = Preprocessing(leads=("II", "V1"), window=1.28, normalise="record")
    study = open_study(fresh_checkpoint(tmp_path, p), Toy(), str(tmp_path / "cache"))
    windows, encoder = study.test, study.encoder.encoder
    context, centred = Context("context", span=0.5), Context("context", "record", span=0.5)
    z = context.embed(encoder, windows, "")
    record, start = windows.index.record, windows.index.start
    x = torch.from_numpy(study.store.signal(int(record[-1])))
    last = embed_at(encoder, x, start[-1:] + p.samples // 2, 50)
    np.testing.assert_allclose(z[-1:], last, atol=1e-6)
    pretrained, untrained, *_ = systems(study, beside=["untrained"], context=centred)
    assert not np.allclose(pretrained.features(windows), untrained.features(windows))
    moved = z - pretrained.features(windows)
    for row in record.unique().tolist():  # by one vector a recording, whoever of its beats is asked for
        np.testing.assert_allclose(np.ptp(moved[record == row], axis=0), 0, atol=1e-5)
    some = windows[torch.arange(len(windows)) % 3 == 0]
    np.testing.assert_allclose(pretrained.features(some), pretrained.features(windows)[::3], atol=1e-6)
    assert "non-causal" in centred.note and not Context().note


def test_what_a_task_cannot_be_embedded_by_is_refused() -> None:
    with pytest.raises(UserError, match="these classes are those of a record"):
        Context("context").check("record")
    with pytest.raises(UserError, match=r"windows=whole embeds recordings in one piece, .* those of a beat"):
        Context("whole").check("beat")
    with pytest.raises(UserError, match="centre=record needs several windows"):
        Context(centre="record").check("record")
    Context("context", "record").check("beat")


def test_beats_in_stretches_are_means_of_all_maps_reduced_on_the_train_side(tmp_path: Path) -> None:
    p = Preprocessing(leads=("II", "V1"), window=1.28, normalise="record")
    study = open_study(fresh_checkpoint(tmp_path, p), Toy(), str(tmp_path / "cache"))
    pretrained, untrained, *_ = systems(study, beside=["untrained"], context=Context("stretches"))
    z = pretrained.features(study.test)
    assert pretrained.fitted and z.shape[0] == len(study.test) and 8 < z.shape[1] <= COMPONENTS
    assert not np.allclose(z, untrained.features(study.test))
    # By hand, of the last beat: whichever beats are asked for, a beat has its embedding.
    record, start = study.test.index.record, study.test.index.start
    x = torch.from_numpy(study.store.signal(int(record[-1])))
    raw = embed_stretches(study.encoder.encoder, x, start[-1:] + p.samples // 2, [edge * p.fs for edge in EDGES])
    assert isinstance(pretrained, Frozen) and pretrained.reduction is not None
    np.testing.assert_allclose(z[-1:], pretrained.reduction(raw.numpy()), atol=1e-4)
    several = np.cov(pretrained.features(study.train).T).diagonal()
    np.testing.assert_allclose(several, several.mean(), rtol=0.05)  # or a probe would blow up the least of them
    assert "stretches from -0.7 to 0.9 s" in Context("stretches").note

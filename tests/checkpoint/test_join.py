"""Checkpoints joined: one encoder, which gives what each gives and has seen whom each has seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import load_encoder, read_recording
from ssl_ecg.checkpoints import main
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "II"), window=5.0)


def test_a_pair_gives_what_both_give(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["join", "ecg1-v1,ecg1-tiny-v1", str(tmp_path / "pair")])
    assert str(tmp_path / "pair") in capsys.readouterr().out
    pair, *alone = (load_encoder(ref) for ref in (tmp_path / "pair", "ecg1-v1", "ecg1-tiny-v1"))
    recording = read_recording(next((shared_data / "cinc2017" / "training2017").glob("*.hea")))
    given = recording.signal, recording.fs, recording.leads
    for whole in (False, True):
        z, each = pair(*given, whole=whole), [encoder(*given, whole=whole) for encoder in alone]
        np.testing.assert_allclose(z, np.concatenate(each), rtol=1e-4, atol=1e-5)
    tokens, times = pair.tokens(*given)
    assert tokens.shape == (2 * 160 + 128, len(times))
    assert pair.card["patients"] == alone[0].card["patients"] and pair.card["cohorts"] == alone[0].card["cohorts"]
    main(["show", str(tmp_path / "pair")])
    card = capsys.readouterr().out
    assert (
        "SideBySide, 410,648 parameters" in card and "LUDB (ODC-By 1.0)" in card and "whose cards have theirs" in card
    )


def test_whom_one_has_seen_the_joined_one_has(tmp_path: Path) -> None:
    a = fresh_checkpoint(tmp_path / "a", P, seen=(("X", "p1"),), cohorts=["X"], data="X")
    tuning = {"data": "Y", "classes": ["N", "V"], "epochs": 3, "patients": ["0" * 16]}
    tuned = {"taught_cohorts": ["Y"], "finetuning": tuning}
    b = fresh_checkpoint(tmp_path / "b", P, seen=(("Y", "p2"),), taught=(("Y", "p3"),), data="Y", **tuned)
    main(["join", f"{a},{b}", str(tmp_path / "ab")])
    joined = load_encoder(tmp_path / "ab")
    assert joined.saw("X", ["p1", "p2"]) == ["p1"] and joined.saw("Y", ["p1", "p2"]) == ["p2"]
    assert joined.taught_by("Y", ["p2", "p3"]) == ["p3"]
    main(["join", f"{a},{tmp_path / 'ab'}", str(tmp_path / "more")])  # one that was joined, again
    assert load_encoder(tmp_path / "more").saw("Y", ["p2"]) == ["p2"]
    card = (tmp_path / "ab" / "README.md").read_text()
    assert "pretrained on X, Y, fine-tuned on Y" in card and "with labels (N, V), 3 epochs" in card
    config = json.loads((tmp_path / "ab" / "config.json").read_text())
    assert [part["data"] for part in config["pretraining"]["joined"]] == ["X", "Y"]


def test_what_cannot_be_joined_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = fresh_checkpoint(tmp_path / "a", P)
    b = fresh_checkpoint(tmp_path / "b", Preprocessing(leads=("I", "II"), window=4.0))

    def refused(*argv: str) -> str:
        with pytest.raises(SystemExit):
            main(["join", *argv])
        return capsys.readouterr().err

    assert "prepared for differently (window 5.0 and 4.0)" in refused(f"{a},{b}", str(tmp_path / "ab"))
    assert "two checkpoints or more" in refused(str(a), str(tmp_path / "ab"))
    assert "is there already" in refused(f"{a},{a}", str(b))
    assert "no/such" in refused(f"{a},{tmp_path}/no/such", str(tmp_path / "ab"))
    assert not (tmp_path / "ab").exists()

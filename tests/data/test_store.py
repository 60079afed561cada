"""The store gives back what went in, and never a half-written thing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy

from ssl_ecg.data.build import build
from ssl_ecg.data.source import Source
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import BeatCentred, Sliding, Whole
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return build(Toy(), P, tmp_path)


def test_signals_come_back_to_within_a_count(store: Store) -> None:
    for row, recording in enumerate(Toy().recordings()):
        wanted = P.condition(recording.signal, recording.fs, recording.leads)
        np.testing.assert_allclose(store.signal(row), wanted, atol=float(store.scale[row]))


def test_gather_equals_slicing(store: Store) -> None:
    g = torch.Generator().manual_seed(0)
    record = torch.randint(len(store.records), (40,), generator=g)
    start = (torch.rand(40, generator=g) * (store.length[record] - 300 + 1)).long()
    x = store.gather(record, start, 300)
    assert x.shape == (40, 2, 300)
    for i in range(40):
        s = int(start[i])
        np.testing.assert_array_equal(x[i].numpy(), store.signal(int(record[i]))[:, s : s + 300])


def test_windows_lie_inside_and_carry_the_right_label(store: Store) -> None:
    whole = Whole().index(store, 300)
    assert len(whole) == 12
    assert (whole.start == 0).all()
    sliding = Sliding(stride=1.0).index(store, 300)
    assert len(sliding) == sum((20 + i - 3) + 1 for i in range(12))
    beats = BeatCentred().index(store, 300)
    for index in (sliding, beats):
        assert (index.start >= 0).all()
        assert (index.start + 300 <= store.length[index.record]).all()
    centre = beats.start + 150
    assert (centre % 100 == 0).all()  # a beat each second at 100 Hz
    number = centre // 100
    assert (number != 1).all()  # the unclassified one
    assert torch.equal(beats.label == 1, number % 3 == 0)
    assert (BeatCentred(unclassified=True).index(store, 100).label == -1).sum() == 12


def test_a_second_build_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(Toy(), P, tmp_path)
    monkeypatch.setattr(Toy, "read", lambda self, number: pytest.fail("the source was read again"))
    again = build(Toy(), Preprocessing(leads=("II", "V1"), window=1.0, normalise="none"), tmp_path)
    assert again.path == first.path  # window and normalisation do not change what is stored
    with pytest.raises(pytest.fail.Exception):
        build(Toy(), Preprocessing(leads=("II",)), tmp_path)


def test_a_damaged_recording_is_left_out_and_named(tmp_path: Path) -> None:
    store = build(Toy(broken=3), P, tmp_path)
    assert store.report["dropped"] == [{"record": "r3", "reason": "file 3 is damaged"}]
    assert store.records["record"].tolist() == [f"r{i}" for i in range(12) if i != 3]
    whole = build(Toy(), P, tmp_path / "whole")
    np.testing.assert_array_equal(store.signal(3), whole.signal(4))
    theirs = whole.beats[whole.beats["record"] == 4]["r_peak"]
    np.testing.assert_array_equal(store.beats[store.beats["record"] == 3]["r_peak"], theirs)


def test_a_damaged_recording_is_refused_if_strict(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="record r3: file 3 is damaged"):
        build(Toy(broken=3), P, tmp_path, strict=True)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    build(Toy(broken=3), P, tmp_path)
    with pytest.raises(DataError, match=r"1 recording\(s\) cannot be used. The first, r3"):
        build(Toy(broken=3), P, tmp_path, strict=True)


def test_wrong_leads_name_the_record(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 12 .* r0: lead V6 is wanted, but the signal has MLII, V1"):
        build(Toy(), Preprocessing(leads=("V6",)), tmp_path)


def test_a_truncated_store_is_refused(store: Store) -> None:
    file = store.path / "signals.i16"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"signals\.i16 holds .* delete the folder"):
        Store(store.path)


def test_a_store_that_lacks_what_is_needed_later_is_refused_at_once(store: Store) -> None:
    file = store.path / "store.json"
    meta = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in meta.items() if name != "covers"}))
    with pytest.raises(DataError, match=r"store\.json does not say covers: delete the folder"):
        Store(store.path)


def test_amplitudes_are_in_mv_unless_somebody_divided_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_record = Preprocessing(leads=("II",), normalise="record")
    assert build(Toy(), P, tmp_path / "mv").unit == "mV"
    assert build(Toy(), by_record, tmp_path / "mv").unit == "SD"
    monkeypatch.setattr(Toy, "amplitude_unit", "NU")
    assert build(Toy(), P, tmp_path / "nu").unit == "NU"
    assert build(Toy(), by_record, tmp_path / "nu").unit == "SD"


def test_an_unwritable_cache_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="SSL_ECG_CACHE"):
        build(Toy(), P, tmp_path / "file" / "cache")


def test_a_window_longer_than_every_recording_is_said(store: Store) -> None:
    with pytest.raises(DataError, match="the longest recording lasts 31 s"):
        Whole().index(store, 100 * 60)


def test_the_source_contract_is_abstract() -> None:
    with pytest.raises(TypeError):
        Source()  # type: ignore[abstract]

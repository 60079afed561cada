"""Waves of a stream are those of the whole recording filtered forwards, and each is given once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.data.sources import LUDB
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import typical_sd
from ssl_ecg.streaming.conditioning import CausalConditioning
from ssl_ecg.waves import Found, StreamingWaves, find_waves, load_head

NAME = "ecg1-v1"


def together(parts: list[Found]) -> Found:
    return Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in Found.__dataclass_fields__))


def test_a_stream_is_the_whole_recording(shared_data: Path) -> None:
    if not (shared_data / "ludb" / "ludb.csv").is_file():
        pytest.skip("no recordings of LUDB")
    encoder = load_encoder(NAME)
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    head = replace(head, causal=True)
    recording = LUDB(str(shared_data / "ludb"), download=False).read(0)
    x, fs = np.tile(recording.signal[1], 3), recording.fs
    (whole,) = find_waves(encoder, head, x[None], fs)
    conditioning = CausalConditioning(encoder.preprocessing, fs, ("lead",))
    scale = float(typical_sd(conditioning.push(x[None].astype(float)), 200)[0, 0])
    streams = [StreamingWaves(encoder, head, fs, scale=scale) for _ in range(2)]
    assert streams[0].latency == pytest.approx(1.74, abs=0.1)
    found, late = [], []
    for number, chunk in enumerate(np.split(x, 60)):
        for part in streams[0].push(chunk):
            found.append(part)
            late.append((number + 1) * 0.5 - part.offset.min())
    assert max(late) <= streams[0].latency + 0.5  # a chunk is half a second
    found += list(streams[0].finish())
    again = [part for chunk in np.array_split(x, 7) for part in streams[1].push(chunk)] + list(streams[1].finish())
    one, other = together(found), together(again)
    np.testing.assert_array_equal(one.onset, other.onset)
    assert (np.diff(one.onset) > 0).all()
    assert len(one.labels) == pytest.approx(len(whole.labels), abs=2)
    for label in ("P", "QRS", "T"):
        mine, theirs = one.onset[one.labels == label], whole.onset[whole.labels == label]
        assert (np.abs(mine[:, None] - theirs).min(axis=1) < 0.03).mean() > 0.95, label


def test_settings_that_cannot_be_are_refused() -> None:
    encoder = load_encoder(NAME)
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    with pytest.raises(UserError, match="above 0"):
        StreamingWaves(encoder, head, 250, hop=0)
    with pytest.raises(DataError, match="unit of a signal"):
        StreamingWaves(encoder, head, 250, unit="kV")  # type: ignore[arg-type]

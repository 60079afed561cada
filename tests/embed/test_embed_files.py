"""A folder of files: a row for each, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import embed, load_encoder
from ssl_ecg.preprocessing import Preprocessing

LEADS = ["I", "II"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "mine" / "ward").mkdir(parents=True)
    rng = np.random.default_rng(0)

    def put(name: str, x: np.ndarray, fs: float = 250, leads: list[str] = LEADS) -> None:
        np.savez(made / f"{name}.npz", signal=x.astype(np.float32), fs=fs, leads=leads)

    x = rng.normal(size=(2, 2500))
    put("good", x)
    put("faster", rng.normal(size=(2, 10000)), 1000)
    put("slow", x[:, :500], 50)
    put("short", x[:, :300])
    put("others", x, leads=["V1", "V2"])
    put("limb", x, leads=["III", "aVR"])  # I and II follow
    gap = x.copy()
    gap[1, 1000:1250] = np.nan
    put("gap", gap)
    holes = x.copy()
    holes[0, ::500] = np.nan
    put("holes", holes)
    slow = np.repeat(rng.normal(size=(2, 100)), 25, axis=1)
    put("clipped", slow.clip(-0.8, 0.8))
    put("flat", np.stack([x[0], np.zeros(2500)]))
    put("infinite", np.where(np.arange(2500) == 7, np.inf, x))
    (made / "junk.edf").write_bytes(b"junk")
    (made / "readme.txt").touch()
    return made.parent


def test_every_file_has_a_row_and_its_oddities_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0))
    embed.main([str(checkpoint), f"--files={folder}", f"--out={tmp_path / 'out.parquet'}"])
    table = pd.read_parquet(tmp_path / "out.parquet").set_index("file")
    table.index = table.index.str.removeprefix("ward/").str.replace(".npz", "")
    said = table["notes"].to_dict()
    assert set(said) == {
        *("good", "faster", "slow", "short", "others", "limb", "gap", "holes", "clipped", "flat", "infinite"),
        "junk.edf",
    }
    assert said["good"] == said["faster"] == said["limb"] == ""
    assert "ends at 25 Hz, but the encoder sees up to 40 Hz" in said["slow"]
    assert "lasts 1.2 s, but the encoder was trained on windows of 3 s" in said["short"]
    assert "lead I is wanted, but the signal has V1, V2" in said["others"]
    assert said["gap"] == "II: 1.00 s without samples (NaN), first at 4.00 s; embedded from 9.0 of its 10.0 s"
    assert said["holes"].startswith(
        "no stretch of 3 s has all its samples; I: 0.02 s without samples (NaN), first at 0.00"
    )
    assert "I: saturated, " in said["clipped"]
    assert "of its samples stay at 0.80 mV" in said["clipped"]
    assert said["flat"] == "II: flat"
    assert "I: 0.00 s without samples" in said["infinite"]
    assert "junk.edf is not a readable EDF file" in said["junk.edf"]
    left_out = {"slow", "short", "others", "holes", "junk.edf"}
    assert set(table.index[~table["embedded"]]) == left_out == set(table.index[table["embedding"].isna()])

    encoder = load_encoder(checkpoint)
    with np.load(folder / "ward" / "good.npz") as good:
        np.testing.assert_allclose(table.loc["good", "embedding"], encoder(good["signal"], 250, LEADS), atol=1e-5)
    with np.load(folder / "ward" / "gap.npz") as gap:
        parts = [encoder(part, 250, LEADS) for part in (gap["signal"][:, :1000], gap["signal"][:, 1250:])]
        wanted = np.average(parts, axis=0, weights=[1000, 1250])
        np.testing.assert_allclose(table.loc["gap", "embedding"], wanted, atol=1e-5)
    about = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"ssl_ecg"])
    assert about["weights"] == encoder.weights
    printed = capsys.readouterr().out
    assert "7 of 12 files embedded" in printed
    assert "left out  ward/others.npz: lead I is wanted" in printed


def test_what_files_do_not_say_is_given(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0, normalise="none"))
    x = np.random.default_rng(0).normal(size=(2, 2500)).astype(np.float32)
    np.save(tmp_path / "one.npy", x * 1000)
    out = tmp_path / "out.parquet"
    embed.main(
        [str(checkpoint), f"--files={tmp_path / 'one.npy'}", "--fs=250", "--leads=I,II", "--unit=uV", f"--out={out}"]
    )
    (row,) = pd.read_parquet(out).to_dict("records")
    np.testing.assert_allclose(row["embedding"], load_encoder(checkpoint)(x, 250, LEADS), atol=1e-4)


def test_nothing_to_embed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0))
    np.save(tmp_path / "one.npy", np.zeros((2, 2500)))
    for arguments, says in (
        ([f"--files={checkpoint}"], "has no recordings: files that end with .hea"),
        ([f"--files={tmp_path}", "--out=x.npz"], "written to .parquet, not to 'x.npz'"),
    ):
        with pytest.raises(SystemExit):
            embed.main([str(checkpoint), *arguments])
        assert says in capsys.readouterr().err

"""The embed command: one file with all that is known of every window, gone on with after a stop."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from checkpoints import fresh_checkpoint
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg import embed, load_encoder
from ssl_ecg.checkpoint import save_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.sources import MITBIH, Simulated
from ssl_ecg.data.windows import Sliding
from ssl_ecg.embed import Embeddings, read_embeddings, write_embeddings
from ssl_ecg.embed import command as embedding
from ssl_ecg.embed.command import averaged
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.training.embedding import Crops

P = Preprocessing(leads=("I", "II"), window=5.0)
SIMULATED = ["--data=Simulated", "--data.patients=30", "--data.records_per_patient=2"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return fresh_checkpoint(tmp_path, P, (("Simulated", "p00003"),))


def run(checkpoint: Path, *arguments: str) -> None:
    embed.main([str(checkpoint), *SIMULATED, f"--cache={checkpoint.parent / 'cache'}", *arguments])


def recordings(checkpoint: Path) -> tuple[object, Simulated]:
    source = Simulated(patients=30, records_per_patient=2)
    return build(source, P, checkpoint.parent / "cache"), source


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_every_window_is_in_the_file_with_what_the_encoder_says_of_it(
    checkpoint: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint.parent / f"out.{ending}"
    run(checkpoint, f"--out={path}")
    found = read_embeddings(path)
    store, source = recordings(checkpoint)
    assert len(found) == len(store.records) == 60
    assert found.record.tolist() == store.records["record"].tolist()
    assert found.patient.tolist() == store.records["patient"].astype(str).tolist()
    assert found.classes == source.classes
    assert (found.targets.argmax(axis=1) == store.label.numpy()).all()
    assert (found.pretrained_on == (found.patient == "p00003")).all()
    assert found.pretrained_on.sum() == 2
    encoder = load_encoder(checkpoint)
    assert found.about["weights"] == encoder.weights
    for row in (0, 17, 59):
        x = torch.from_numpy(store.signal(row)[None, :, : P.samples])
        wanted = encoder.encoder(P.normalise_windows(x))[0]
        np.testing.assert_allclose(found.embedding[row], wanted, atol=1e-5)
    assert path.with_suffix(".png").stat().st_size > 5000
    assert "simulated ECG (no heart was involved)" in capsys.readouterr().out
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        ["cache", "checkpoint", f"out.{ending}", "out.png"]
    )  # no parts are left


def test_pandas_reads_the_file(checkpoint: Path) -> None:
    run(checkpoint)
    table = pd.read_parquet(checkpoint / "embed-simulated.parquet")
    assert list(table.columns) == ["record", "patient", "sample", "split", "labels", "pretrained_on", "embedding"]
    assert np.stack(table["embedding"]).shape == (60, load_encoder(checkpoint).dim)


def test_a_stopped_run_goes_on_and_gives_the_same(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_BLOCK", 16)
    run(checkpoint, "--out", str(checkpoint.parent / "whole.npz"))
    embedded: list[int] = []
    real = embedding.embed

    def stopping(encoder: object, windows: Iterator[torch.Tensor], crops: object) -> torch.Tensor:
        if len(embedded) == 2:
            raise KeyboardInterrupt
        return counting(embedded)(encoder, windows, crops)

    def counting(seen: list[int]) -> Callable[..., torch.Tensor]:
        def counted(encoder: object, windows: Iterator[torch.Tensor], crops: object) -> torch.Tensor:
            batches = list(windows)
            seen.append(sum(map(len, batches)))
            return real(encoder, batches, crops)

        return counted

    path = checkpoint.parent / "stopped.npz"
    monkeypatch.setattr(embedding, "embed", stopping)
    with pytest.raises(SystemExit):
        run(checkpoint, f"--out={path}")
    assert not path.exists()
    again: list[int] = []
    monkeypatch.setattr(embedding, "embed", counting(again))
    run(checkpoint, f"--out={path}")
    assert embedded == [16, 16]
    assert again == [16, 12]  # the first two blocks were kept
    whole = read_embeddings(checkpoint.parent / "whole.npz")
    np.testing.assert_array_equal(read_embeddings(path).embedding, whole.embedding)


def test_blocks_of_other_settings_are_not_taken(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint.parent / "out.npz"
    monkeypatch.setattr("ssl_ecg.embed.command.write_embeddings", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit):
        run(checkpoint, f"--out={path}")
    monkeypatch.undo()
    run(checkpoint, f"--out={path}", "--crop=2.5", "--crops=3")
    other = read_embeddings(path).embedding
    run(checkpoint, f"--out={path}")
    assert np.abs(read_embeddings(path).embedding - other).max() > 1e-3


def test_crops_are_averaged(checkpoint: Path) -> None:
    path = checkpoint.parent / "out.npz"
    run(checkpoint, f"--out={path}", "--crop=2", "--crops=4")
    store, _ = recordings(checkpoint)
    encoder = load_encoder(checkpoint).encoder
    x = P.normalise_windows(torch.from_numpy(store.signal(5)[None, :, : P.samples]))
    wanted = torch.stack([encoder(x[..., s : s + 200])[0] for s in (0, 100, 200, 300)]).mean(0)
    np.testing.assert_allclose(read_embeddings(path).embedding[5], wanted, atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 40), st.integers(40, 60))
def test_crops_reach_from_the_start_to_the_end(number: int, samples: int, length: int) -> None:
    x = torch.arange(length).repeat(2, 3, 1)
    cut = Crops(number, samples)(x)
    assert cut.shape == (2 * number, 3, samples)
    starts = cut[:number, 0, 0]
    assert starts[0] == 0
    assert number == 1 or cut[number - 1, 0, -1] == length - 1
    assert (starts.diff() >= 0).all()
    assert (cut.diff(dim=-1) == 1).all()


def test_windows_of_a_recording_are_averaged_into_one_row(checkpoint: Path) -> None:
    path = checkpoint.parent / "out.npz"
    arguments = [f"--out={path}", "--windows=Sliding", "--windows.stride=2.5"]
    run(checkpoint, *arguments)
    each = read_embeddings(path)
    run(checkpoint, *arguments, "--average=true")
    one = read_embeddings(path)
    store, _ = recordings(checkpoint)
    assert len(each) == len(Sliding(2.5).index(store, P.samples)) > len(one) == 60
    for record in one.record[[0, 31]]:
        mine = each.embedding[each.record == record]
        np.testing.assert_allclose(one.embedding[one.record == record][0], mine.mean(0), rtol=1e-5)
    assert (one.targets.sum(axis=1) == 1).all()


def some(n: int = 6, **changes: object) -> Embeddings:
    rng = np.random.default_rng(0)
    made = Embeddings(
        embedding=rng.normal(size=(n, 3)).astype(np.float32),
        record=np.array([f"r{i // 2}" for i in range(n)]),
        patient=np.array(["p"] * n),
        sample=np.arange(n),
        split=np.array(["train"] * n),
        labels=np.array(["A;B", "", "A", "B", "A", "A"][:n]),
        pretrained_on=np.zeros(n, dtype=np.bool_),
        about={"classes": ["A", "B"]},
    )
    return replace(made, **changes)


def test_labels_become_targets_and_back() -> None:
    made = some()
    assert made.targets.tolist() == [[1, 1], [0, 0], [1, 0], [0, 1], [1, 0], [1, 0]]
    one = averaged(made)
    assert one.labels.tolist() == ["A;B", "A;B", "A"]
    np.testing.assert_allclose(one.embedding[1], made.embedding[2:4].mean(0), rtol=1e-6)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"broken.parquet cannot be read as embeddings"):
        read_embeddings(tmp_path / "broken.parquet")
    with pytest.raises(DataError, match=r"missing.npz cannot be read"):
        read_embeddings(tmp_path / "missing.npz")
    with pytest.raises(UserError, match=r"written to .parquet or .npz, not to 'x.csv'"):
        write_embeddings(some(), tmp_path / "x.csv")
    with pytest.raises(UserError, match="columns of n rows"):
        some(sample=np.arange(3))
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(DataError, match=r"foreign.parquet cannot be read as embeddings"):
        read_embeddings(tmp_path / "foreign.parquet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop=9"], "--crop must be above 0 and at most the window of 5 s, not 9 s"),
        (["--crops=3"], "set --crop to less than 5 s"),
        (["--crop=1", "--crops=0"], "at least one crop"),
        (["--device=toaster"], "there is no device 'toaster' here"),
        (["--batch_size=0"], "batch_size must be at least 1"),
        (["--out=x.csv"], "written to .parquet or .npz"),
    ],
)
def test_what_it_refuses_before_any_work(
    checkpoint: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(checkpoint, *arguments)
    assert message in capsys.readouterr().err
    assert not (checkpoint.parent / "cache").exists()


def test_beats_of_mit_bih_come_with_their_class(mitdb: Path, tmp_path: Path) -> None:
    p = Preprocessing(leads=("II",), window=1.28, normalise="record")
    checkpoint = fresh_checkpoint(tmp_path, p, (("MITBIH", "101"),))
    embed.main([str(checkpoint), "--data=MITBIH", f"--data.root={mitdb}", f"--cache={tmp_path}/cache"])
    found = read_embeddings(checkpoint / "embed-mitbih.parquet")
    store = build(MITBIH(str(mitdb)), p, tmp_path / "cache")
    assert found.classes == ("N", "S", "V", "F")
    counts = {name: int((found.labels == name).sum()) for name in found.classes}
    annotated = store.beats["label"].value_counts()
    assert all(0 <= annotated[name] - n <= 100 for name, n in counts.items())  # those at the ends have no window
    assert set(found.record[found.pretrained_on]) == {"101"}
    centre = found.sample + p.samples // 2
    row = store.records["record"].tolist().index("208")
    peaks = store.beats["r_peak"][store.beats["record"] == row].to_numpy() / 3.6
    mine = centre[found.record == "208"]
    assert np.abs(peaks[None] - mine[:, None]).min(axis=1).max() <= 0.5


def test_an_encoder_of_your_own_is_embedded_with_once_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine_to_embed.py").write_text("from ssl_ecg.encoders import ResNet1d\nclass Mine(ResNet1d): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    encoder = importlib.import_module("mine_to_embed").Mine(2, width=4, stages=2)
    folder = save_encoder(tmp_path / "c", encoder, P, {}, np.zeros((2, 500), dtype=np.float32), "")
    sys.modules.pop("mine_to_embed")
    with pytest.raises(SystemExit):
        run(folder)
    assert "--trust true" in capsys.readouterr().err
    run(folder, "--trust=true", f"--out={tmp_path / 'out.npz'}")
    assert len(read_embeddings(tmp_path / "out.npz")) == 60
    sys.modules.pop("mine_to_embed")

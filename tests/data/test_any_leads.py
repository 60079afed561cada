"""Every lead of every record a sample of its own: in the store, in training, and in what an encoder embeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from toy import Toy

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.checkpoint import save_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import SamePatient
from ssl_ecg.data.source import Recording, Spans
from ssl_ecg.data.store import Store
from ssl_ecg.data.streaming import StreamedStore, export
from ssl_ecg.data.windows import BeatCentred, Sliding, WindowSet, report_left_out
from ssl_ecg.embed import Embed, read_embeddings
from ssl_ecg.errors import UserError
from ssl_ecg.leads import ANY
from ssl_ecg.prepare import prepare
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study

P = Preprocessing(leads=ANY, window=3.0)


class Ward(Toy):
    """Recordings of one to three leads of any names, the third of record 4 flat, and waves marked in one lead."""

    leads = ANY

    def fingerprint(self) -> dict[str, object]:
        return {"ward": self.patients}

    def read(self, number: int) -> Recording:
        toy = super().read(number)
        names = [("MLII", "V1"), ("ECG",), ("ECG", "ECG", "II")][number % 3]
        rng = np.random.default_rng(number)
        signal = rng.normal(size=(len(names), toy.signal.shape[1])).astype(np.float32)
        if number == 5:
            signal[2] = 0
        marks = ("MLII", "", "V1") if names[0] == "MLII" else ("",) * 3
        spans = Spans(np.array([10, 20, 30]), np.array([15, 25, 35]), np.array(["P", "QRS", "T"]), np.array(marks))
        return Recording(
            toy.record, toy.patient, signal, toy.fs, names, toy.split, ("N",), beats=toy.beats, spans=spans
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(Ward(), P, tmp_path_factory.mktemp("cache"))


def test_a_row_a_lead_and_no_sample_more(store: Store) -> None:
    source = Ward()
    table = store.records
    assert table["lead"].tolist()[:6] == ["II", "V1", "ECG", "ECG", "ECG", "II"]
    assert table["record"].tolist()[:6] == ["r0", "r0", "r1", "r2", "r2", "r2"]
    assert store.recording.tolist()[:6] == [0, 0, 1, 2, 2, 2]
    assert len(table) == 4 * (2 + 1 + 3) - 1
    assert "lead II is flat: left out" in {entry["note"] for entry in store.report["noted"]}
    assert len(store.signals) == int(store.length.sum())
    row = 0
    for recording in source.recordings():
        x = P.condition(recording.signal, recording.fs, recording.leads)
        for lead in range(len(x) - (recording.record == "r5")):
            np.testing.assert_allclose(store.signal(row), x[[lead]], atol=float(store.scale[row]))
            row += 1
    assert row == len(table)


def test_each_lead_has_its_own_windows_beats_and_waves(store: Store) -> None:
    index = BeatCentred().index(store, P.samples)
    two = [int((index.record == row).sum()) for row in (0, 1)]
    assert two[0] == two[1] > 10
    waves = [store.spans[store.spans["record"] == row]["label"].tolist() for row in (0, 1, 2)]
    assert waves == [["P", "QRS"], ["QRS", "T"], ["P", "QRS", "T"]]
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    assert windows.load(torch.arange(5)).shape == (5, 1, 300)
    assert set(windows.patient.tolist()) == {f"p{i}" for i in range(6)}


def test_killed_and_gone_on_with_it_is_the_same_store(store: Store, tmp_path: Path) -> None:
    class Killed(Ward):
        def read(self, number: int) -> Recording:
            if number == 7:
                raise KeyboardInterrupt
            return super().read(number)

    kind = Killed()
    kind.__class__.__module__, kind.__class__.__name__ = Ward.__module__, "Ward"
    with pytest.raises(KeyboardInterrupt):
        build(kind, P, tmp_path)
    again = build(Ward(), P, tmp_path)
    assert again.path.name == store.path.name
    for file in ("signals.i16", "records.parquet", "beats.parquet", "spans.parquet"):
        assert (again.path / file).read_bytes() == (store.path / file).read_bytes()


def test_another_lead_of_the_same_recording_is_not_another_recording(store: Store) -> None:
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    partners = SamePatient().partners(windows)
    assert partners is not None
    rows = torch.arange(len(windows))
    drawn = partners.draw(rows, 0, 0)
    assert (windows.patient[drawn.numpy()] == windows.patient).all()
    assert (windows.record[drawn.numpy()] != windows.record).all()


def test_it_is_streamed_and_reported_by_recordings(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(store, str(tmp_path / "streamed"), block=20_000)
    streamed = StreamedStore(str(tmp_path / "streamed"), tmp_path / "cache", budget=1 << 30)
    np.testing.assert_array_equal(streamed.signal(4), store.signal(4))
    report_left_out(store, 25 * 100)
    assert "5 of 12 recordings are shorter" in capsys.readouterr().err
    prepare(Ward(), P, cache=str(tmp_path))
    said = capsys.readouterr().out
    assert "ECG, II, V1" in said
    assert any(line.split()[0] == "records" and line.split()[-1] == "12" for line in said.splitlines() if line.strip())


def test_held_out_patients_are_held_out_with_all_their_leads(store: Store) -> None:
    module = ECGDataModule(store, P, Sliding(1.0), Sliding(1.0), batch_size=8)
    assert not set(module.train.patient.tolist()) & set(module.held_out)
    assert len(set(store.records["lead"].astype(str)[module.train.index.record.unique().numpy()])) == 3


def test_any_beside_a_name_is_refused() -> None:
    assert Preprocessing(leads="any") == Preprocessing(leads=ANY)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is any, or names leads, not both"):
        Preprocessing(leads=("any", "II"))
    assert Preprocessing(leads=ANY).on(("I", "II")).leads == ("I", "II")
    assert Preprocessing(leads=("V1",)).on(("I", "II")).leads == ("V1",)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("run")
    given = ["--data.patients=30", "--data.duration=6", "--preprocessing.window=3", "--preprocessing.leads=any"]
    small = ["--method.encoder.width=4", "--method.encoder.stages=2", "--batch_size=64", "--trainer.max_epochs=1"]
    pretrain.main([*given, *small, f"--out={here}", f"--cache={here}/cache", "--name=any"])
    return here / "any"


def test_an_encoder_of_any_lead_embeds_recordings_of_any_leads(run: Path) -> None:
    encoder = load_encoder(run)
    assert encoder.preprocessing.leads == ANY
    x = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    each = encoder(x, 200, ["ECG1", "ECG2", "unknown"], each_lead=True)
    alone = np.stack([encoder(x[[i]], 200, ["ECG"]) for i in range(3)])
    np.testing.assert_allclose(each, alone, atol=1e-5)
    np.testing.assert_allclose(encoder(x, 200, ["a", "b", "c"]), alone.mean(0), atol=1e-5)
    assert encoder(x[None], 200, ["a", "a", "a"], each_lead=True).shape == (1, 3, encoder.dim)
    tokens, _ = encoder.tokens(x, 200, ["a", "b", "c"])
    assert tokens.shape[0] == encoder.encoder.widths[-1]
    assert "each lead by itself" in (run / "checkpoint" / "README.md").read_text()


def test_a_data_set_is_embedded_with_all_its_leads_averaged_or_side_by_side(run: Path, tmp_path: Path) -> None:
    encoder, files = load_encoder(run), [tmp_path / "mean.npz", tmp_path / "beside.npz"]
    for file, beside in zip(files, (False, True), strict=True):
        Embed(str(run), Toy(), out=str(file), cache=str(tmp_path), side_by_side=beside).run()
    mean, beside = map(read_embeddings, files)
    assert beside.embedding.shape == (len(mean), encoder.dim)  # of one lead, II, it is the same
    np.testing.assert_allclose(mean.embedding, beside.embedding, atol=1e-6)
    two = Toy()
    two.leads = ("II", "V1")
    Embed(str(run), two, out=str(files[1]), cache=str(tmp_path), side_by_side=True).run()
    assert read_embeddings(files[1]).embedding.shape == (len(mean), 2 * encoder.dim)


def test_it_is_evaluated_on_and_kept_with_the_leads_a_data_set_has(run: Path, tmp_path: Path) -> None:
    two = Toy()
    two.leads = ("II", "V1")
    study = open_study(run, two, str(tmp_path))
    assert study.train.preprocessing.leads == ("II", "V1")
    x = next(study.train.conditioned(2))[0].numpy()
    assert x.shape == (2, 300)
    again = save_encoder(tmp_path / "kept", study.encoder.encoder, study.encoder.preprocessing, {}, x, "# card")
    np.testing.assert_allclose(load_encoder(again)(x, 100, ["a", "b"]), study.encoder(x, 100, ["II", "V1"]))


def test_each_lead_of_an_encoder_of_named_leads_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder(fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"))))
    with pytest.raises(UserError, match="takes its leads together"):
        encoder(np.zeros((2, 1000)), 100, ["I", "II"], each_lead=True)

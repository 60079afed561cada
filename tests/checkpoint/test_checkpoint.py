"""A checkpoint gives back exactly the encoder that was saved, or says why not."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import PretrainedEncoder, patient_hash, save_encoder
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.errors import CheckpointError, DataError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "II"), window=3.0)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    encoder = ResNet1d(2, width=8)
    for _ in range(3):  # batch statistics other than the initial ones
        encoder(torch.randn(16, 2, 300) * 2 + 1)
    golden = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    card = {"patients": [patient_hash("Toy", "p1")]}
    return save_encoder(tmp_path / "checkpoint", encoder, P, card, golden, "# card")


def signal(seconds: float = 3.0, fs: float = 500, batch: tuple[int, ...] = ()) -> np.ndarray:
    t = np.arange(round(seconds * fs)) / fs
    x = np.stack([np.sin(2 * np.pi * 7 * t), np.cos(2 * np.pi * 3 * t)]).astype(np.float32)
    return np.broadcast_to(x, (*batch, *x.shape)).copy()


def test_it_comes_back_and_embeds(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    z = encoder(signal(), fs=500, leads=["I", "II"])
    assert isinstance(z, np.ndarray)
    assert z.shape == (encoder.dim,) == (128,)
    assert (checkpoint / "README.md").read_text() == "# card"
    assert encoder.saw("Toy", ["p0", "p1"]) == ["p1"]
    encoder.card["covers"] = ["Other"]  # as CinC 2021 has the recordings of PTB-XL, under other names
    assert encoder.saw("Other", ["p0", "p1"]) == ["p0", "p1"]
    np.testing.assert_array_equal(z, load_encoder(checkpoint.parent)(signal(), fs=500, leads=["I", "II"]))  # a run


def test_numpy_and_torch_one_and_many_agree(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    one = encoder(signal(), 500, ["I", "II"])
    many = encoder(signal(batch=(4,)), 500, ["I", "II"])
    tensor = encoder(torch.from_numpy(signal()), 500, ["I", "II"])
    assert many.shape == (4, 128)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(many, np.broadcast_to(one, (4, 128)), atol=1e-5)
    np.testing.assert_allclose(tensor, one, atol=1e-6)


def test_a_tensor_is_embedded_in_any_precision(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    x = torch.from_numpy(signal()).bfloat16()
    z = encoder(x, 500, ["I", "II"])
    assert isinstance(z, torch.Tensor)
    np.testing.assert_array_equal(z, encoder(x.float().numpy(), 500, ["I", "II"]))
    double = x.double() * 1.001 / 3
    np.testing.assert_array_equal(encoder(double, 500, ["I", "II"]), encoder(double.numpy(), 500, ["I", "II"]))
    with pytest.raises(DataError, match="real numbers, not complex64"):
        encoder(x.float() * 1j, 500, ["I", "II"])
    with pytest.raises(DataError, match="real numbers, not complex64"):
        encoder((x.float() * 1j).conj(), 500, ["I", "II"])


def test_rate_lead_order_and_extra_leads_do_not_matter(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    z = encoder(signal(), 500, ["I", "II"])
    other = np.concatenate([np.ones((1, 1500), np.float32), signal()[::-1]])
    np.testing.assert_allclose(encoder(other, 500, ["V3", "ii", "i"]), z, atol=1e-5)
    slower = encoder(signal(fs=250), 250, ["I", "II"])
    assert np.dot(slower, z) / np.linalg.norm(slower) / np.linalg.norm(z) > 0.98


def test_a_long_signal_is_averaged_over_windows_and_whole_is_not(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    x = np.random.default_rng(1).normal(size=(2, 900)).astype(np.float32)
    z = encoder(x, 100, ["I", "II"])
    clean = torch.from_numpy(P.condition(x, 100, ["I", "II"]))
    parts = [P.normalise_windows(clean[None, :, s : s + 300]) for s in range(0, 601, 150)]
    with torch.no_grad():
        wanted = torch.stack([encoder.encoder(part)[0] for part in parts]).mean(0)
        whole = encoder.encoder(P.normalise_windows(clean[None]))[0]
    np.testing.assert_allclose(z, wanted, atol=1e-5)
    np.testing.assert_allclose(encoder(x, 100, ["I", "II"], whole=True), whole, atol=1e-5)
    assert encoder(x[:, :100], 100, ["I", "II"], whole=True).shape == (128,)


def test_it_stays_in_evaluation_mode(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint).train()
    before = encoder(signal(), 500, ["I", "II"])
    encoder(signal(batch=(8,)) * 100, 500, ["I", "II"])
    np.testing.assert_array_equal(encoder(signal(), 500, ["I", "II"]), before)


@pytest.mark.parametrize(
    ("x", "leads", "says"),
    [
        (signal(), ["V1", "V2"], "lead I is wanted, but the signal has V1, V2"),
        (signal(1.0), ["I", "II"], "lasts 1 s, but the encoder was trained on windows of 3 s"),
        (signal() * np.nan, ["I", "II"], "NaN"),
        (signal(), ["I"], "2 channels"),
    ],
)
def test_what_cannot_be_embedded_is_said(checkpoint: Path, x: np.ndarray, leads: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_encoder(checkpoint)(x, 500, leads)


def test_one_changed_weight_is_found(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    weights["stem.0.weight"][0, 0, 0] += 1e-6
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_encoder(checkpoint)


def test_consistent_but_wrong_weights_are_found_by_the_golden_embedding(checkpoint: Path) -> None:
    """Someone converts the weights wrongly and fixes the checksum too."""
    import hashlib

    weights = load_file(checkpoint / "model.safetensors")
    weights["stem.0.weight"] = weights["stem.0.weight"].flip(-1).contiguous()
    save_file(weights, checkpoint / "model.safetensors")
    config = json.loads((checkpoint / "config.json").read_text())
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    config["sha256"]["model.safetensors"] = digest
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not give the embedding stored with it"):
        load_encoder(checkpoint)


@pytest.mark.parametrize("change", [{"lowpass": 15.0}, {"normalise": "none"}, {"leads": ["II", "I"]}])
def test_changed_preprocessing_is_found(checkpoint: Path, change: dict[str, object]) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["preprocessing"] |= change
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not give the embedding"):
        load_encoder(checkpoint)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pooling": "stages"}, r"gives embeddings of shape \(240,\), and the one stored with it has \(128,\)"),
        ({"width": 16}, r"another encoder than .*: \d+ of \d+ tensors differ .*, such as stem.0.weight"),
        ({"depth": 2}, r"another encoder than .*: \d+ of \d+ tensors differ .*, such as "),
    ],
)
def test_changed_arguments_of_the_encoder_are_said_in_a_line(
    checkpoint: Path, change: dict[str, object], says: str
) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["encoder"]["arguments"] |= change
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=says) as caught:
        load_encoder(checkpoint)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", None, "holds no config.json"),
        ("config.json", "{", "cannot be used"),
        ("config.json", '{"format": 2, "encoder": {"class": "torch.nn.Linear"}}', "names the encoder torch.nn.Linear"),
        ("config.json", '{"format": 2, "encoder": {"class": "nowhere.Net"}}', "trust it, load it by .*trust="),
        ("config.json", '{"format": 3, "encoder": {"class": "nowhere.Net"}}', "format 3, of a newer ssl_ecg: update"),
        ("config.json", "{}", "has checkpoint format None, and not 1 to 2"),
        ("model.safetensors", None, "cannot be loaded"),
        ("model.safetensors", "garbage", "not the file that was saved"),
        ("golden.safetensors", None, "cannot be loaded"),
    ],
)
def test_damage_is_named(checkpoint: Path, file: str, content: str | None, says: str) -> None:
    if content is None:
        (checkpoint / file).unlink()
    else:
        (checkpoint / file).write_text(content)
    with pytest.raises(CheckpointError, match=says):
        load_encoder(checkpoint)


MINE = """
from pathlib import Path
from ssl_ecg.encoders import ResNet1d
Path(__file__).with_name("imported").touch()
class Mine(ResNet1d):
    def __init__(self, in_channels, **settings):
        super().__init__(in_channels, **settings)
other = len
"""


def test_a_foreign_class_is_imported_only_for_who_trusts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_checkpoint.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("mine_of_checkpoint")
    encoder = module.Mine(2, width=4, stages=2)
    golden = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    folder = save_encoder(tmp_path / "checkpoint", encoder, P, {}, golden, "")
    sys.modules.pop("mine_of_checkpoint")
    (tmp_path / "imported").unlink()
    for little in (False, ["mine_of_checkpoint.Other"], "mine_of_checkpoint"):
        with pytest.raises(CheckpointError, match=r"trust=\['mine_of_checkpoint.Mine'\].* --trust true"):
            load_encoder(folder, trust=little)
    assert not (tmp_path / "imported").exists()
    for enough in (True, ["mine_of_checkpoint.Mine"]):
        assert load_encoder(folder, trust=enough).encoder.arguments == {"in_channels": 2, "width": 4, "stages": 2}
    config = json.loads((folder / "config.json").read_text())
    config["encoder"]["class"] = "mine_of_checkpoint.other"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="no Encoder"):
        load_encoder(folder, trust=True)
    sys.modules.pop("mine_of_checkpoint")


def test_a_checkpoint_of_format_1_is_read(checkpoint: Path) -> None:
    old = Path(__file__).with_name("format-1")
    config = json.loads((old / "config.json").read_text())
    assert (config["format"], config["encoder"]["class"]) == (1, "ssl_ecg.encoders.resnet.ResNet1d")
    encoder, golden = load_encoder(old), load_file(old / "golden.safetensors")
    torch.testing.assert_close(encoder(golden["signal"], 100, ["I", "II"]), golden["embedding"], atol=1e-5, rtol=1e-5)
    assert encoder.saw("Toy", ["p0", "p1"]) == ["p1"]
    new = json.loads((checkpoint / "config.json").read_text())
    assert (new["format"], new["encoder"]["class"]) == (2, "ssl_ecg.encoders.ResNet1d")


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = save_encoder(tmp_path / "c", ResNet1d(2, width=4), P, {}, np.ones((2, 300), np.float32), "")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failing", [1, 2])
def test_the_old_checkpoint_stays_until_the_new_one_is_in_place(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before, calls, replace = (checkpoint / "config.json").read_text(), [], os.replace

    def broken(a: Path, b: Path) -> None:
        calls.append(a)
        if len(calls) == failing:
            raise OSError("the disk is gone")
        replace(a, b)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        save_encoder(checkpoint, ResNet1d(2, width=4), P, {}, np.ones((2, 300), np.float32), "")
    assert (checkpoint / "config.json").read_text() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint"]


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(CheckpointError, match="training has not finished"):
        load_encoder(tmp_path)


def test_saving_replaces_whole_and_leaves_the_encoder_alone(checkpoint: Path) -> None:
    encoder = ResNet1d(2, width=8).train()
    golden = np.zeros((2, 300), np.float32)
    golden[:, 100] = 1
    save_encoder(checkpoint, encoder, P, {}, golden, "second")
    assert encoder.training
    assert all(p.requires_grad for p in encoder.parameters())
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["checkpoint"]
    assert load_encoder(checkpoint).card == {}


def test_moved_elsewhere_it_is_the_same(checkpoint: Path, tmp_path: Path) -> None:
    z = load_encoder(checkpoint)(signal(), 500, ["I", "II"])
    shutil.move(checkpoint, tmp_path / "elsewhere")
    np.testing.assert_array_equal(load_encoder(tmp_path / "elsewhere")(signal(), 500, ["I", "II"]), z)


def test_an_encoder_notes_its_arguments() -> None:
    assert ResNet1d(2, kernel=5).arguments == {
        "in_channels": 2,
        "width": 32,
        "depth": 1,
        "stages": 4,
        "kernel": 5,
        "stem": 2,
        "pooling": "last",
        "stretch": 0,
        "leads": "together",
        "statistics": ("mean", "max"),
        "dropout": 0.0,
        "amplitudes": False,
    }
    assert isinstance(PretrainedEncoder(ResNet1d(), Preprocessing()).dim, int)

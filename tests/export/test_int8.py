"""A quantised encoder is kept only if it still says what it said before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export_encoders import saved, tiny

from ssl_ecg import export
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.sources import Simulated
from ssl_ecg.encoders import Encoder, ResNet1d
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.export import attempts
from ssl_ecg.export.fine_tune import fine_tune
from ssl_ecg.export.gate import compare, embed_with
from ssl_ecg.export.graph import write_graph
from ssl_ecg.export.quantise import RECIPES, Recipe, quantise
from ssl_ecg.export.runtime import ExportedEncoder
from ssl_ecg.export.sides import Sides
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study
from ssl_ecg.study.recordings import every_window

P = Preprocessing(leads=("I", "V1"), window=3.0)
DATA = [
    "--data=Simulated",
    "--data.patients=60",
    "--data.records_per_patient=2",
    "--data.duration=5",
    "--calibration=24",
    "--fine_tuning=20",
]


def unquantisable() -> Encoder:
    """The same function as before in fp32, but one channel is 10,000 times as large as the others."""
    torch.manual_seed(0)
    encoder = ResNet1d(2, width=4, stages=2).eval()
    with torch.no_grad():
        for norm in (encoder.stem[1], encoder.blocks[0].body[4]):  # what the first stage adds up
            norm.weight[0] *= 1e4
            norm.bias[0] *= 1e4
        for conv in (encoder.blocks[0].body[0], encoder.blocks[1].body[0], encoder.blocks[1].shortcut[1]):
            conv.weight[:, 0] /= 1e4
    return encoder


def run(folder: Path, encoder: Encoder, *more: str) -> Path:
    checkpoint = saved(folder, encoder, P)
    out = folder / "out"
    export.main([str(checkpoint), *DATA, f"--cache={folder / 'cache'}", f"--out={out}", "--format=onnx-int8", *more])
    return out


def test_a_quantised_encoder_is_small_close_and_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "RECIPES", [recipe for recipe in RECIPES if recipe.activations])
    out = run(tmp_path, tiny("MobileNet1d"), "--accept=true", "--head=true", "--benchmark=true", "--fine_tuning=0")
    about = json.loads((out / "card.json").read_text())
    gate = about["gate"]
    assert gate["cosine"] > 0.98 and 0 <= gate["nearest"] <= 1
    assert gate["share"] > 0.8
    assert {"fp32", "int8"} == set(about["benchmark"])
    model = onnx.load(out / "model.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds and "DequantizeLinear" in kinds  # QDQ
    per_channel = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4]
    assert per_channel and all(np.abs(onnx.numpy_helper.to_array(t)).max() <= 64 for t in per_channel)  # seven bits
    encoder = ExportedEncoder(out)
    assert encoder.golden_error() <= encoder.about["tolerance"]
    x = np.random.default_rng(0).normal(size=(2, 1000))
    assert encoder.logits(x, 250, ["I", "V1"]).shape == (len(encoder.classes),)
    assert "of Simulated; compared" in (out / "README.md").read_text()
    assert "median, ms" in capsys.readouterr().out


def test_one_that_lost_too_much_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, unquantisable())
    assert stopped.value.code == 1
    said = capsys.readouterr()
    assert "model.onnx.rejected" in said.err and "failed" in said.out
    out = tmp_path / "out"
    assert not (out / "model.onnx").exists() and (out / "model.onnx.rejected").exists()
    about = json.loads((out / "card.json").read_text())
    assert about["gate"]["failures"] and len(about["gate"]["also_tried"]) == len(RECIPES) - 1
    assert about["off_torch"] < 1e-5  # nothing is wrong with it in fp32
    assert "**Rejected by the gate**" in (out / "README.md").read_text()


def test_corrected_biases_bring_the_mean_of_the_embeddings_back(tmp_path: Path) -> None:
    pretrained = load_encoder(saved(tmp_path, tiny("MobileNet1d", statistics=("mean",)), P))
    write_graph(pretrained, tmp_path / "fp32.onnx")
    windows = [*np.random.default_rng(0).normal(size=(32, 2, 300)).cumsum(-1).astype(np.float32) / 10]
    for name, recipe in {"plain": Recipe(), "corrected": Recipe(corrected=True)}.items():
        quantise(tmp_path / "fp32.onnx", tmp_path / f"{name}.onnx", windows, recipe)
    wanted, plain, corrected = (
        embed_with(tmp_path / f"{name}.onnx", [np.stack(windows)]).mean(0) for name in ("fp32", "plain", "corrected")
    )
    assert np.linalg.norm(corrected - wanted) < 0.7 * np.linalg.norm(plain - wanted)


def test_weights_alone_are_nearer_to_fp32_and_are_no_slower(tmp_path: Path) -> None:
    pretrained = load_encoder(saved(tmp_path, tiny("MobileNet1d"), P))
    write_graph(pretrained, tmp_path / "fp32.onnx")
    windows = [*np.random.default_rng(0).normal(size=(32, 2, 300)).cumsum(-1).astype(np.float32) / 10]
    off, wanted = {}, embed_with(tmp_path / "fp32.onnx", [np.stack(windows)])
    for activations in (True, False):
        recipe = Recipe(corrected=True, stem=False, activations=activations)
        share = quantise(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", windows, recipe)
        off[activations] = np.linalg.norm(embed_with(tmp_path / "int8.onnx", [np.stack(windows)]) - wanted)
    assert 0 < off[False] < 0.5 * off[True]
    stored = {tensor.name: tensor for tensor in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    kinds = {tensor.data_type for tensor in stored.values() if len(tensor.dims) == 4 and tensor.dims[1] > 2}
    assert share > 0.6 and onnx.TensorProto.INT8 in kinds
    # What makes floats of them is done when the file is loaded, and so no window waits for it.
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(tmp_path / "int8.onnx", options, providers=["CPUExecutionProvider"])
    loaded = {node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node}
    assert not loaded & {"DequantizeLinear", "QuantizeLinear", "Cast"}


def test_fine_tuning_learns_to_be_quantised(tmp_path: Path) -> None:
    pretrained = load_encoder(saved(tmp_path, tiny("MobileNet1d"), P))
    x = torch.randn(400, 2, 300, generator=torch.Generator().manual_seed(0)).cumsum(-1) / 10
    random, others = torch.Generator().manual_seed(1), [*x[300:].numpy()]
    before = {name: value.clone() for name, value in pretrained.encoder.state_dict().items()}
    tuned = fine_tune(
        pretrained.encoder, lambda n: x[torch.randint(300, (n,), generator=random)], x[:64], 99.99, False, 40
    )
    assert tuned is not None
    assert all(torch.equal(value, before[name]) for name, value in pretrained.encoder.state_dict().items())
    assert tuned.ranges[0] is None and all(r is not None and r[0] <= 0 < r[1] for r in tuned.ranges[1:])
    write_graph(pretrained, tmp_path / "fp32.onnx")
    write_graph(PretrainedEncoder(tuned.encoder, P), tmp_path / "tuned.onnx")
    recipe, wanted = Recipe(stem=False), embed_with(tmp_path / "fp32.onnx", [np.stack(others)])
    off = {}
    for name, ranges in {"fp32": (), "tuned": tuned.ranges}.items():
        quantise(tmp_path / f"{name}.onnx", tmp_path / "int8.onnx", [*x[:64].numpy()], recipe, ranges)
        off[name] = np.linalg.norm(embed_with(tmp_path / "int8.onnx", [np.stack(others)]) - wanted)
    assert off["tuned"] < 0.8 * off["fp32"]


def test_recordings_are_compared_by_the_mean_of_their_windows(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, tiny("MobileNet1d"), P)
    data = Simulated(patients=24, duration=8)
    sides = Sides.of(open_study(checkpoint, data, str(tmp_path / "cache")), 100, 0)
    write_graph(sides.study.encoder, tmp_path / "fp32.onnx")
    every, count = every_window(sides.held_out)
    assert set(count.tolist()) == {5}  # 3 of 8 s, overlapping by half
    found = sides.embedded(tmp_path / "fp32.onnx", sides.held_out)
    each = embed_with(tmp_path / "fp32.onnx", [x.numpy() for x in every.conditioned()])
    np.testing.assert_allclose(found, each.reshape(len(found), 5, -1).mean(1), atol=1e-5)


def test_the_gate() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 8)).astype(np.float32)
    y = (z[:, 0] > 0).astype(int)
    patients = np.arange(300).astype(str)
    probe = fit_probe({"z": z}, y, patients, 2)
    targets = y[:, None] == np.arange(2)

    def agreement(other: np.ndarray) -> list[str]:
        return compare(z, other.astype(np.float32), targets, patients, probe, "z").failures

    same = compare(z, z, targets, patients, probe, "z")
    assert not same.failures
    assert (same.cosine, same.nearest, same.argmax) == (pytest.approx(1), 1, 1)
    assert not agreement(z + 1e-4 * rng.normal(size=z.shape))
    assert any("decides alike" in text for text in agreement(z + 0.3 * rng.normal(size=z.shape)))
    found = agreement(rng.normal(size=z.shape))
    assert len(found) == 3 and "median cosine" in found[0] and "AUROC falls" in found[2]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["--format=onnx-int8"], "onnx-int8 needs --data"),
        (["--head=true"], "--head needs --data"),
        ([*DATA, "--calibration=0"], "at least 1 window"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    settings: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        export.main([str(tmp_path), *settings])
    assert says in capsys.readouterr().err

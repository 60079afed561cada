"""An exported folder gives what `load_encoder` gives, whatever the encoder, and says what it is."""

from __future__ import annotations

import json
import re
import subprocess
import venv
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
import torch
from export_encoders import saved, tiny
from torch import Tensor, nn

from ssl_ecg import encoders, export, load_encoder
from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.export import runtime
from ssl_ecg.export.graph import EQUAL, write_graph
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "V1"), window=3.0)


def recording(leads: int, seconds: float, fs: float, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(leads, round(seconds * fs))).cumsum(-1) / 20


@pytest.mark.parametrize("name", sorted({*encoders.__all__} - {"Encoder"}))
def test_every_encoder_is_the_same_in_onnx_at_any_length(name: str, tmp_path: Path) -> None:
    about = write_graph(PretrainedEncoder(tiny(name), P), tmp_path / "model.onnx")
    assert about["any_length"]
    assert about["off_torch"] <= EQUAL


@pytest.mark.parametrize(
    "more",
    [
        {"leads": "apart"},
        {"leads": "beside"},
        {"pooling": "stages", "statistics": ("mean", "max", "std", "attentive")},
        {"stretch": 100},
        {"amplitudes": True},
        {"amplitudes": "stretches"},
    ],
    ids=str,
)
def test_so_is_every_pooling(more: dict[str, Any], tmp_path: Path) -> None:
    about = write_graph(PretrainedEncoder(tiny("MobileNet1d", **more), P), tmp_path / "model.onnx")
    assert about["any_length"] and about["off_torch"] <= EQUAL


class OfOneLength(Encoder):
    """Reads windows of 300 samples alone."""

    def __init__(self, in_channels: int = 2) -> None:
        super().__init__(in_channels)
        self.dim = 4
        self.layer = nn.Linear(600, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


class Sorts(Encoder):
    """Uses an operation that ONNX does not have."""

    def __init__(self, in_channels: int = 2) -> None:
        super().__init__(in_channels)
        self.dim = 2
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).abs().amax(-1).double().float().lgamma()


def test_an_encoder_of_one_length_is_exported_for_it(tmp_path: Path) -> None:
    about = write_graph(PretrainedEncoder(OfOneLength(), P), tmp_path / "model.onnx")
    assert not about["any_length"]
    (signal,) = onnx.load(tmp_path / "model.onnx").graph.input
    assert [d.dim_param or d.dim_value for d in signal.type.tensor_type.shape.dim] == ["batch", 2, 300]


def test_what_onnx_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Sorts cannot be written as ONNX"):
        write_graph(PretrainedEncoder(Sorts(), P), tmp_path / "model.onnx")


@pytest.mark.parametrize("normalise", ["window", "record", "none"])
def test_the_runtime_gives_what_load_encoder_gives_of_raw_recordings(
    normalise: Literal["window", "record", "none"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessing = Preprocessing(leads=("aVF", "V1"), window=3.0, normalise=normalise)
    checkpoint = saved(tmp_path, tiny("MobileNet1d"), preprocessing)
    export.main([str(checkpoint), f"--out={tmp_path / 'out'}"])
    assert "Exported to" in capsys.readouterr().out
    ours, theirs = load_encoder(checkpoint), runtime.ExportedEncoder(tmp_path / "out")
    leads = ["v1", "MLII", "I"]  # aVF follows from the other two
    for fs, seconds, unit, scale in (
        (100, 3, "mV", 1),
        (257, 10, "uV", 1000),
        (500, 7.3, "V", 1e-3),
        (1000, 3, "mV", 1),
    ):
        x = recording(3, seconds, fs) * scale
        wanted, found = ours(x, fs, leads, unit=unit), theirs(x, fs, leads, unit)
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    batch = np.stack([recording(3, 4, 250, seed) for seed in range(3)])
    np.testing.assert_allclose(theirs(batch, 250, leads), ours(batch, 250, leads), atol=1e-4 * np.abs(wanted).max())
    assert theirs.golden_error() <= theirs.about["tolerance"] == 1e-4
    about = theirs.about
    assert (about["weights"], about["encoder"], about["unit"]) == (ours.weights, "MobileNet1d", "mV")
    assert about["preprocessing"] == preprocessing.to_dict()
    card = (tmp_path / "out" / "README.md").read_text()
    assert ours.weights in card and "aVF, V1" in card
    assert json.loads((tmp_path / "out" / "card.json").read_text())["off_torch"] <= EQUAL


def test_an_encoder_of_any_lead_takes_any_here_too(tmp_path: Path) -> None:
    preprocessing = Preprocessing(leads=("any",), window=3.0)
    checkpoint = saved(tmp_path, _one_lead(), preprocessing)
    export.main([str(checkpoint), f"--out={tmp_path / 'out'}"])
    ours, theirs = load_encoder(checkpoint), runtime.ExportedEncoder(tmp_path / "out")
    x = recording(3, 8, 360)
    np.testing.assert_allclose(theirs(x, 360, ["x", "y", "z"]), ours(x, 360, ["x", "y", "z"]), atol=1e-4)


def _one_lead() -> Encoder:
    torch.manual_seed(0)
    return encoders.ResNet1d(1, width=4, stages=2, leads="apart").eval()


def test_conditioning_is_the_same_at_any_rate() -> None:
    for fs in (100, 101.3, 128, 250, 360, 977.5):
        for length in (5, 300, 5003):
            x = recording(2, length / fs, fs)
            wanted = P.condition(x, fs, ("I", "V1"))
            found = runtime.condition(x, fs, ["I", "V1"], P.to_dict())
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_windows_start_where_load_encoder_has_them() -> None:
    for samples in (8, 255, 900):
        for length in (*range(samples, samples + 2000, 37), 50_001):
            hops = max(1, -(-(length - samples) // max(1, samples // 2)) + 1)
            wanted = torch.linspace(0, length - samples, hops).round().long().tolist()
            assert runtime.window_starts(length, samples) == wanted


@pytest.mark.parametrize(
    ("fs", "leads", "seconds", "what"),
    [
        (50, ["I", "V1"], 4, "cannot carry"),
        (100, ["I", "V2"], 4, "lead V1 is wanted"),
        (100, ["I"], 4, "of 1 leads"),
        (100, ["I", "V1"], 1, "lasts 1 s"),
    ],
)
def test_the_runtime_refuses_what_it_cannot_use(
    fs: float, leads: list[str], seconds: float, what: str, exported: Path
) -> None:
    with pytest.raises(ValueError, match=what):
        runtime.ExportedEncoder(exported)(recording(2, seconds, fs), fs, leads)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export.main([str(saved(folder, tiny("MobileNet1d"), P)), f"--out={folder / 'out'}"])
    return folder / "out"


def test_without_onnx_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install 'ssl-ecg[export]'")):
        export.Export(str(tmp_path)).run()


@pytest.mark.slow
def test_the_folder_runs_in_an_environment_of_numpy_and_onnxruntime_alone(exported: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    constraints = Path(__file__).parents[2] / "constraints.txt"
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, "numpy", "onnxruntime"]
    subprocess.run(pip, check=True)
    device = tmp_path / "device"
    device.mkdir()
    for file in exported.iterdir():
        (device / file.name).write_bytes(file.read_bytes())
    x = recording(2, 10, 500)
    np.save(tmp_path / "ecg.npy", x)

    def run(*arguments: str) -> str:
        command = [python, "-I", device / "runtime.py", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert "golden embedding: off by" in run()
    found = json.loads(run("ecg.npy", "--fs=500", "--leads=I,V1"))["embedding"]
    wanted = load_encoder(exported.parent / "checkpoint")(x, 500, ["I", "V1"])
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert not {"torch", "scipy", "ssl-ecg"} & set(listed.lower().split())

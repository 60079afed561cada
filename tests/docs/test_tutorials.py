"""The tutorials run as they stand, on real recordings where there are any."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from checkpoints import fresh_checkpoint

from ssl_ecg import load_encoder, read_recording
from ssl_ecg.data.sources import Simulated
from ssl_ecg.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What is trained in a test is trained for a moment.
TINY = {
    "--trainer.max_epochs": "1",
    "--trainer.accelerator": "cpu",
    "--batch_size": "8",
}
SMALL = ["--data.patients=24", "--data.records_per_patient=1"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "cache"))
    before = set(sys.modules)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_") and name not in before]:
        del sys.modules[name]


def real(*parts: str) -> Path | None:
    """A folder of real recordings, if it is there; as the fixture `shared_data`, but without skipping."""
    import os

    folder = Path(os.environ.get("SSL_ECG_DATA", ROOT.parent / "shared" / "data")).joinpath(*parts)
    return folder if folder.is_dir() else None


def twelve_leads(folder: Path, n: int) -> None:
    """Recordings of twelve leads: of the PhysioNet/CinC Challenge 2021, or simulated."""
    folder.mkdir(parents=True)
    if (there := real("cinc2021-sample")) is not None:
        for header in sorted(there.glob("*.hea"))[:n]:
            for file in there.glob(f"{header.stem}.*"):
                shutil.copy(file, folder)
        return
    simulated(folder, n)


def simulated(folder: Path, n: int, leads: int = 12) -> None:
    source = Simulated(patients=n, records_per_patient=1, duration=10)
    for i in range(n):
        made = source.read(i)
        x = made.signal[:leads].T.astype(float)
        names = list(made.leads[:leads])
        wfdb.wrsamp(f"r{i}", made.fs, ["mV"] * x.shape[1], names, x, write_dir=str(folder), fmt=["16"] * x.shape[1])


def run(command: str, changes: dict[str, str]) -> None:
    """Run `python -m MODULE ...` in this process, with these options in place of its own or besides."""
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"], command
    module, arguments = words[2], words[3:]
    if module == "ssl_ecg.probe":
        arguments += ["--resamples=20", "--beside=untrained"]
    if module == "ssl_ecg.export":
        arguments += ["--accept=true", "--calibration=12"]  # few recordings, and a network that has learned nothing
    if "Simulated" in arguments or (module == "ssl_ecg.pretrain" and not {"--data", "--config"} & {*arguments}):
        arguments += SMALL
    if module == "ssl_ecg.pretrain":
        for name, value in changes.items():
            if name in arguments:
                arguments[arguments.index(name) + 1] = value
            else:
                arguments += [name, value]
    importlib.import_module(module).main(arguments)


def follow(page: str, changes: dict[str, str] = TINY, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Do all that a tutorial says, in its order: files are written, commands run, Python is executed."""
    names = {} if names is None else names
    for language, code in BLOCK.findall((TUTORIALS / page).read_text()):
        if (file := re.match(r"# (my_\w+\.\w+)\n", code)) is not None:
            Path(file[1]).write_text(code)
            importlib.invalidate_caches()
        elif language == "python":
            exec(code, names)
        elif language == "sh":
            for command in code.replace("\\\n", " ").splitlines():
                run(command, changes)
    return names


def labelled(desk: Path) -> None:
    """A table of two recordings a patient, with labels that mean nothing."""
    records = sorted(path.stem for path in (desk / "my" / "recordings").glob("*.hea"))
    rows = [f"{name},p{i // 2},{'AB'[i % 2]}" for i, name in enumerate(records)]
    (desk / "my" / "labels.csv").write_text("\n".join(["record,patient,label", *rows]))


def test_embed_my_recordings(desk: Path) -> None:
    twelve_leads(desk / "my" / "folder", 6)
    (desk / "my" / "folder" / "broken.csv").write_text("I,II\n1,2\n")
    names = follow("embed.md")
    assert len(names["refused"]) == 1 and len(names["good"]) == 6
    assert set(names["nearest"]) <= set(names["good"]["file"])
    np.testing.assert_allclose(names["one"], names["good"]["embedding"].iloc[0], atol=1e-4)
    assert names["tokens"].shape[1] == len(names["times"])
    assert names["each"].shape == (len(names["beats"]), names["encoder"].dim) and len(names["beats"]) > 4


def test_pretrain_on_my_folder(desk: Path) -> None:
    twelve_leads(desk / "my" / "recordings", 30)
    labelled(desk)
    follow("pretrain.md")
    assert (desk / "runs" / "mine" / "training.png").exists()
    assert (desk / "mine.zip").exists()


def test_add_a_method_an_encoder_a_data_set(desk: Path) -> None:
    twelve_leads(desk / "my" / "files", 24)
    (desk / "my" / "ward").mkdir()
    for i, header in enumerate(sorted((desk / "my" / "files").glob("*.hea"))):
        np.save(desk / "my" / "ward" / f"p{i // 2}_{i}.npy", read_recording(header).signal)
    follow("extend.md")
    assert load_encoder(desk / "runs" / "two-stages", trust=True).dim == 2 * 2 * 16
    assert load_encoder(desk / "runs" / "ward").saw("Ward", ["p0", "p99"]) == ["p0"]


def test_from_a_checkpoint_to_int8_on_a_device(desk: Path) -> None:
    pytest.importorskip("onnxruntime")
    twelve_leads(desk / "my" / "recordings", 30)
    labelled(desk)
    made = fresh_checkpoint(desk / "made", Preprocessing(leads=("I", "II"), window=5))
    shutil.copytree(made, desk / "runs" / "mine" / "checkpoint")
    signal = read_recording(min((desk / "my" / "recordings").glob("*.hea"))).signal[:2]
    names = follow("device.md", names={"signal": signal})
    sys.modules.pop("runtime")
    assert names["cosine"] > 0.9 and len(names["logits"]) == len(names["device"].classes)
    assert (desk / "device" / "model.onnx").exists()

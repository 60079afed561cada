"""An encoder as an ExecuTorch program, where executorch is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from export_encoders import saved, tiny

from ssl_ecg import export, load_encoder
from ssl_ecg.errors import UserError
from ssl_ecg.export import runtime
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "V1"), window=3.0)
DATA = ["--data=Simulated", "--data.patients=60", "--data.records_per_patient=2", "--data.duration=5"]


@pytest.mark.skipif(find_spec("executorch") is None, reason="executorch is not installed")
def test_a_program_gives_what_load_encoder_gives(tmp_path: Path) -> None:
    checkpoint, out = saved(tmp_path, tiny("MobileNet1d"), P), tmp_path / "out"
    more = [*DATA, f"--cache={tmp_path / 'cache'}", "--head=true", f"--out={out}"]
    export.main([str(checkpoint), "--format=executorch", *more])
    assert {file.name for file in out.iterdir()} == {"model.pte", "runtime.py", "golden.npz", "README.md", "card.json"}
    assert json.loads((out / "card.json").read_text())["off_torch"] <= 1e-5
    assert "an ExecuTorch program" in (out / "README.md").read_text()
    x = np.random.default_rng(0).normal(size=(2, 2500)).cumsum(-1) / 20
    program = runtime.ExportedEncoder(out)
    wanted = load_encoder(checkpoint)(x, 250, ["I", "V1"])
    np.testing.assert_allclose(program(x, 250, ["I", "V1"]), wanted, atol=1e-4 * np.abs(wanted).max())
    assert program.logits(x, 250, ["I", "V1"]).shape == (len(program.classes),)
    assert program.golden_error() <= 1e-4


def test_without_executorch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "executorch" else True)
    with pytest.raises(UserError, match=r"pip install 'ssl-ecg\[executorch\]'"):
        export.Export(str(tmp_path), format="executorch").run()

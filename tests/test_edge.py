"""What docs/edge.md shows in Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import export, load_encoder
from ssl_ecg.preprocessing import Preprocessing

TEXT = (Path(__file__).parents[1] / "docs" / "edge.md").read_text()
DEVICE, STREAM = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    x = np.random.default_rng(0).normal(size=(2, 10_000)).astype(np.float32)
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II")))
    given = {"REF": str(checkpoint), "FOLDER": str(tmp_path / "out"), "FILE": tmp_path / "state.npz", "signal": x}
    return given | {"chunks": np.array_split(x, 20, axis=1)}


def test_on_the_device(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    export.main([names["REF"], f"--out={names['FOLDER']}"])
    monkeypatch.syspath_prepend(names["FOLDER"])
    exec(DEVICE, names)
    np.testing.assert_allclose(names["z"], load_encoder(names["REF"])(names["signal"], 500, ["I", "II"]), atol=1e-4)


def test_while_recording(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    exec(STREAM, names)
    assert len(capsys.readouterr().out.splitlines()) > 10
    assert names["rest"] and names["stream"].real_time_factor > 0

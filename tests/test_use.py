"""What docs/use.md shows runs as it stands, in its order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint

from ssl_ecg import load_encoder
from ssl_ecg.preprocessing import Preprocessing

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "use.md").read_text()
BLOCKS = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_it_runs(title: str, code: str, tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II")))
    x = np.random.default_rng(0).normal(size=(8, 2, 2000)).astype(np.float32)
    np.savez(tmp_path / "one.npz", signal=x[0], fs=500, leads=["I", "II"])
    names: dict[str, Any] = {
        "REF": str(checkpoint),
        "FILE": tmp_path / "one.npz",
        "CHECKOUT": str(ROOT),
        "x": x,
        "y": np.tile([0, 1], 4),
        "patients": np.repeat(np.arange(4), 2),
        "r_peaks": np.array([500, 1000]),
    }
    exec(code, names)
    encoder = load_encoder(checkpoint)
    if "loss" in names:
        assert torch.isfinite(names["loss"])
        start = encoder.encoder.state_dict()
        assert any(not torch.equal(value, start[name]) for name, value in names["net"][0].state_dict().items())
        assert not any(p.requires_grad for p in names["pretrained"].parameters())
    elif "scores" in names:
        assert np.isfinite(names["scores"]).all()
    elif "tokens" in names:
        assert names["tokens"].shape[1] == len(names["times"])
        assert len(names["beats"]) == 2 and names["stages"].shape[1] == len(names["moments"]) == 400  # of 4 s
    else:
        wanted = x if names["z"].ndim == 2 else x[0]
        np.testing.assert_allclose(names["z"], encoder(wanted, 500, ["I", "II"]), atol=1e-5)


def test_every_use_is_there() -> None:
    assert len(BLOCKS) == 5
    assert all(len(code.splitlines()) <= 17 for _, code in BLOCKS)

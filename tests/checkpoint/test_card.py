"""What the model card says can be done: its example runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ssl_ecg.checkpoint import save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.preprocessing import Preprocessing

PRETRAINING = {"method": "SimCLR", "data": "Toy", "simulated": False, "epochs": 3, "seed": 0, "patients": ["a", "b"]}


def card_of(p: Preprocessing, encoder: ResNet1d) -> str:
    return model_card(PRETRAINING, p.to_dict(), describe(encoder), {"pretrained": {"auroc": 0.9}})


@pytest.mark.parametrize(
    "p",
    [
        Preprocessing(),
        Preprocessing(leads=("V2", "ECG1", 'le "ad')),
        Preprocessing(leads=("aVF",), fs=1000, lowpass=400, window=1),
        Preprocessing(fs=62.5, lowpass=0),
    ],
)
def test_its_example_runs(p: Preprocessing, tmp_path: Path) -> None:
    encoder = ResNet1d(len(p.leads), width=4, stages=2)
    golden = np.random.default_rng(0).normal(size=(len(p.leads), p.samples)).astype(np.float32)
    checkpoint = save_encoder(tmp_path / "checkpoint", encoder, p, {}, golden, card_of(p, encoder))
    (code,) = re.findall(r"```python\n(.*?)```", (checkpoint / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"signal": golden}
    exec(code.replace("PATH", str(checkpoint)), names)
    assert names["z"].shape == (encoder.dim,)


@pytest.mark.parametrize(("p", "least"), [(Preprocessing(), "80 Hz"), (Preprocessing(fs=250, lowpass=0), "250 Hz")])
def test_it_says_which_rates_it_takes(p: Preprocessing, least: str) -> None:
    assert f"any rate from {least} is resampled" in card_of(p, ResNet1d(1, width=4, stages=2))


def test_it_gives_no_licence_that_is_not_ours_to_give() -> None:
    card = card_of(Preprocessing(), ResNet1d(1, width=4, stages=2))
    _, front, text = card.split("---\n", 2)
    assert "license" not in yaml.safe_load(front)
    assert "the licence of the data" in " ".join(text.split())

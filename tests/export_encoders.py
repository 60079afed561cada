"""Encoders of every kind in tiny, for tests of what is done with any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_ecg import encoders
from ssl_ecg.checkpoint import save_encoder
from ssl_ecg.encoders import Encoder
from ssl_ecg.preprocessing import Preprocessing

TINY: dict[str, dict[str, Any]] = {
    "ConvGRU": {"width": 8, "context": 12},
    "ConvNeXt1d": {"width": 4, "depths": (1, 1, 1, 1)},
    "ConvS4D": {"width": 8, "context": 8, "memory": 16},
    "InceptionTime": {"width": 4, "modules": 3},
    "MobileNet1d": {"width": 4},
    "ResNet1d": {"width": 4},
    "SideBySide": {
        "encoders": [
            {"class_path": "ConvGRU", "init_args": {"width": 8, "context": 12}},
            {"class_path": "MobileNet1d", "init_args": {"width": 4}},
        ]
    },
    "XResNet1d": {"width": 8, "depth": 18},
}


def tiny(name: str, inputs: int = 2, **more: Any) -> Encoder:
    """An encoder of random weights whose batch statistics are not the initial ones."""
    torch.manual_seed(0)
    encoder: Encoder = getattr(encoders, name)(inputs, **TINY[name], **more)
    encoder(torch.randn(16, inputs, 300))
    return encoder.eval()


def saved(folder: Path, encoder: Encoder, preprocessing: Preprocessing) -> Path:
    """A checkpoint of it."""
    golden = np.random.default_rng(0).normal(size=(len(preprocessing.leads), preprocessing.samples))
    return save_encoder(folder / "checkpoint", encoder, preprocessing, {"patients": []}, golden.astype(np.float32), "")

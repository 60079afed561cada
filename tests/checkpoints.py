"""A checkpoint in a moment, for tests of what is done with one: no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_ecg.checkpoint import patient_hash, save_encoder
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.preprocessing import Preprocessing


def fresh_checkpoint(
    folder: Path,
    preprocessing: Preprocessing,
    seen: tuple[tuple[str, str], ...] = (),
    taught: tuple[tuple[str, str], ...] = (),
    **card: Any,
) -> Path:
    """An encoder with random weights.

    Args:
        folder: gets the checkpoint.
        preprocessing: stored with it.
        seen: cohorts and patients it says it was pretrained on.
        taught: those it says it was fine-tuned on.
        **card: what else it says.
    """
    torch.manual_seed(0)
    leads = len(preprocessing.leads)
    encoder = ResNet1d(leads, width=4, stages=2, leads="apart" if preprocessing.any_leads else "together")
    encoder(torch.randn(16, leads, preprocessing.samples))  # batch statistics other than the initial ones
    golden = np.random.default_rng(0).normal(size=(leads, preprocessing.samples)).astype(np.float32)
    said = {"patients": [patient_hash(*who) for who in seen], "taught_by": [patient_hash(*who) for who in taught]}
    return save_encoder(folder / "checkpoint", encoder.eval(), preprocessing, said | card, golden, "# card")

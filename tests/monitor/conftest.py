"""Tapes that were made, an untrained encoder, and a head that tells their wide beats from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tapes import FS, drawn

from ssl_ecg.checkpoint import load_encoder, save_encoder
from ssl_ecg.encoders import ConvGRU
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study.head import Head, normal_beats, save_head
from ssl_ecg.study.rhythm import rr_features


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small causal encoder of one lead with random weights."""
    torch.manual_seed(0)
    made = ConvGRU(1, width=8, context=8).eval()
    golden = np.random.default_rng(0).normal(size=(1, 300)).astype(np.float32)
    preprocessing = Preprocessing(fs=100, leads=("ECG",), window=3, normalise="record")
    folder = tmp_path_factory.mktemp("monitor") / "checkpoint"
    return save_encoder(folder, made, preprocessing, {"patients": []}, golden, "# card")


@pytest.fixture(scope="session")
def head(encoder: Path) -> Path:
    """A head fitted on two drawn patients with wide beats."""
    pretrained = load_encoder(encoder)
    blocks: dict[str, list[NDArray[Any]]] = {"pretrained": [], "RR": []}
    y, who = [], []
    for patient in range(2):
        rng = np.random.default_rng(patient)
        fast = np.arange(120) // 20 % 3 == 2
        times = 1 + np.cumsum(np.where(fast, 0.4, 0.8) + rng.normal(0, 0.02, size=120))
        wide = np.isin(np.arange(120) % 20, [3, 10, 11, 12, 13]) & ~fast  # alone, and in runs
        x = drawn(times, wide, seconds=times[-1] + 1, seed=patient)
        samples = np.rint(times * FS).astype(np.int64)
        blocks["pretrained"].append(np.asarray(pretrained.at(x[:1], samples, FS, ["ECG"])))
        blocks["RR"].append(rr_features(samples, FS))
        y.append(np.where(wide, 2, 0))
        who.append(np.full(120, str(patient)))
    features = {name: np.concatenate(parts) for name, parts in blocks.items()}
    label, patients = np.concatenate(y), np.concatenate(who)
    probe = fit_probe(features, label, patients, 4, cs=[1.0], block_weights={"RR": [1e-3]})
    normal = normal_beats(features["pretrained"][label == 0], patients[label == 0])
    folder = encoder.parent / "head"
    made = Head(probe, ("N", "S", "V", "F"), pretrained.weights, ("II",), "context", normal=normal)
    save_head(folder, made)
    return folder

"""Pictures of a pretraining run: what the method is shown, and what its embeddings look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods import Distillation, JointEmbedding, Method, Reconstructive
from ssl_ecg.methods.joint import Joint
from ssl_ecg.methods.on_tokens import OnTokens
from ssl_ecg.report.figures import embedding_map, one_class
from ssl_ecg.report.windows import windows_figure
from ssl_ecg.training.embedding import embed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def seen_by(method: Method, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Make of windows (B, C, T) what the method makes of them before its encoder sees them, by name; (B', C', T')."""
    if isinstance(method, Joint):
        every = zip(method.names, method.methods, strict=True)
        return {f"{name}: {what}": made for name, m in every for what, made in seen_by(m, x, generator).items()}
    if isinstance(method, JointEmbedding):
        return {f"view {i}": view for i, view in enumerate(method.views(x, method.fs, generator)[:3], start=1)}
    if isinstance(method, Reconstructive):
        return {"corrupted": method.corrupt(x, generator)[0]}
    if isinstance(method, OnTokens | Distillation):
        made = method.augmented(x, generator)
        return {} if torch.equal(made, x) else {"augmented": made[:: len(made) // len(x)]}
    return {}


def views_figure(method: Method, data: ECGDataModule, number: int = 3) -> Figure:
    """Draw a few training windows, the same each time, and what the method makes of them."""
    rows = torch.randperm(len(data.train), generator=generator(data.seed, Purpose.MONITOR_SAMPLE))[:number]
    x = torch.cat(list(data.train[rows].batches())).cpu()
    made = seen_by(method, x, generator(data.seed, Purpose.MONITOR_VIEWS))
    arrays = {name: [*views.float().numpy()] for name, views in made.items()}
    return windows_figure([*x.numpy()], arrays, data.preprocessing.leads, data.preprocessing.fs)


def embeddings_figure(encoder: Encoder, windows: WindowSet) -> Figure:
    """Draw the frozen embeddings of windows, coloured by class and by patient."""
    z = embed(encoder, windows.batches()).numpy()
    if windows.store.multilabel:
        y, classes = one_class(windows.targets, windows.store.classes)
        return embedding_map(z, y, classes, windows.patient, grey=classes[-1:])
    return embedding_map(z, np.asarray(windows.label), windows.store.classes, windows.patient)

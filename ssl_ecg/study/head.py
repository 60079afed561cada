"""The head of a probe as a folder: from embeddings, and the rhythm beside them, to classes of what nobody labelled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save
from torch import Tensor

from ssl_ecg import __version__
from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.heads import FORMAT, read_head
from ssl_ecg.checkpoint.long import Piece, embed_stretches
from ssl_ecg.estimators.detectors import Mahalanobis, held_out_scores
from ssl_ecg.estimators.pca import PrincipalComponents
from ssl_ecg.estimators.probe import LinearProbe, Setting
from ssl_ecg.files import ensure_writable, replacing, write_text
from ssl_ecg.study.context import EDGES, Windows

KIND = "probe"
RR = "RR"
"""Name of a probe's block of RR features."""
_ENOUGH = 20_000  # normal beats: more do not move their covariance
_WIDEST = 1024  # features of an embedding, beyond which no covariance is kept


@dataclass(frozen=True)
class Normal:
    """What is normal: the embeddings of the patients that a head was fitted on, of the class that is normal.

    `typical` and `unusual` are the median and the 95th percentile of normal beats' distances from those of others.
    """

    detector: Mahalanobis
    typical: float
    unusual: float

    def score(self, z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Score how unlike normal beats embeddings (n, D) are, shape (n,): 1 is more than 95 of 100 normal beats."""
        return self.detector.score(z) / self.unusual


@dataclass(frozen=True)
class Head:
    """A linear probe, and what has to be known to use it.

    Attributes:
        probe: reads a block of embeddings and, where beats have a rhythm, one of RR features called `RR`.
        classes: in the order of its logits.
        encoder: SHA-256 of the weights of the encoder whose embeddings it reads.
        leads: that the encoder read when it was fitted.
        windows, span: how beats were embedded, as in `Context`.
        reduction: what reduces embeddings of beats in stretches.
        future: whether the RR features have the next interval too.
        normal: what a normal beat is, if one class is.
        about: what else is in `head.json`: on what it was fitted.
    """

    probe: LinearProbe
    classes: tuple[str, ...]
    encoder: str
    leads: tuple[str, ...]
    windows: Windows = "cut"
    span: float = 1.0
    future: bool = False
    normal: Normal | None = None
    reduction: PrincipalComponents | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks of features it reads, in their order."""
        return tuple(self.probe.sizes)

    @property
    def dim(self) -> int:
        """Size of the embeddings it reads."""
        return next(size for name, size in self.probe.sizes.items() if name != RR)

    def embed(
        self,
        encoder: PretrainedEncoder,
        x: NDArray[np.floating[Any]],
        beats: NDArray[np.int64],
        fs: float,
        leads: Sequence[str],
    ) -> NDArray[np.float32]:
        """Embed beats (n,) of a recording (C, T) in mV as those were that it was fitted on: shape (n, D).

        DataError as `PretrainedEncoder.at`.
        """
        if self.reduction is None:
            return np.asarray(encoder.at(x, beats, fs, leads, span=self.span))
        return self.reduction(np.asarray(encoder.at(x, beats, fs, leads, stretches=EDGES)))

    def read(
        self, encoder: PretrainedEncoder, x: Tensor, beats: NDArray[np.int64], fs: float, encoded: Sequence[Piece]
    ) -> NDArray[np.float32]:
        """As `embed`, of a head of beats in stretches, from leads (C, T) that are normalised and `encoded` already."""
        own = encoder.preprocessing.fs
        at, edges = torch.from_numpy(beats * (own / fs)), [edge * own for edge in EDGES]
        assert self.reduction is not None
        return self.reduction(embed_stretches(encoder.encoder, x, at, edges, encoded).numpy())

    def predict(self, z: NDArray[np.floating[Any]], rr: NDArray[np.floating[Any]] | None) -> NDArray[np.float64]:
        """Give the probability of each class, (n, K), from embeddings (n, D) and RR features (n, 4 or 5)."""
        given = {name: rr if name == RR else z for name in self.blocks}
        return self.probe.predict_proba({name: block for name, block in given.items() if block is not None})

    def posterior(self, z: NDArray[np.floating[Any]], rr: NDArray[np.floating[Any]] | None) -> NDArray[np.float64]:
        """As `predict`, heeding how common classes were in training, where the probe was fitted on balanced ones.

        As far as served best on held-out patients: see `ssl_ecg.estimators.tempering`.
        """
        p = self.predict(z, rr)
        if not self.probe.exclusive:
            return p
        p = p * self.probe.decision
        return np.asarray(p / p.sum(axis=1, keepdims=True))


def normal_beats(z: NDArray[np.floating[Any]], patients: NDArray[Any]) -> Normal | None:
    """Learn what is normal from embeddings (n, D) of normal beats and whose they are, (n,).

    None for fewer than two patients, or more features than a covariance can be kept of.
    """
    if len(np.unique(patients)) < 2 or z.shape[1] > _WIDEST:
        return None
    rows = np.linspace(0, len(z) - 1, min(len(z), _ENOUGH)).round().astype(int)
    held_out = held_out_scores(Mahalanobis, z[rows], patients[rows])
    typical, unusual = np.percentile(held_out, [50, 95])
    return Normal(Mahalanobis().fit(z[rows], patients[rows]), float(typical), float(unusual))


def save_head(folder: Path, head: Head) -> None:
    """Write a head to a folder, its numbers and what it belongs to; UserError if it cannot be."""
    ensure_writable(folder)
    probe, normal = head.probe, head.normal
    arrays = {name: getattr(probe, name) for name in ("mean", "scale", "coefficients", "intercept", "decision")}
    if normal is not None:
        arrays |= {f"normal.{name}": value for name, value in normal.detector.state().items()}
    if head.reduction is not None:  # it was made in half precision
        mean, axes = head.reduction.mean.numpy(), head.reduction.axes.numpy().astype(np.float16)
        arrays |= {"reduction.mean": mean, "reduction.axes": axes}
    packed = save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    with replacing(folder / "head.safetensors") as temporary:
        temporary.write_bytes(packed)
    document = {
        "format": FORMAT,
        "kind": KIND,
        "ssl_ecg": __version__,
        "classes": list(head.classes),
        "encoder": head.encoder,
        "leads": list(head.leads),
        "windows": head.windows,
        "span": head.span,
        "future": head.future,
        "blocks": probe.sizes,
        "exclusive": probe.exclusive,
        "C": probe.chosen.c,
        "weights": probe.chosen.weights,
        "normal": None if normal is None else {"typical": normal.typical, "unusual": normal.unusual},
        "sha256": hashlib.sha256(packed).hexdigest(),
        **head.about,
    }
    write_text(folder / "head.json", json.dumps(document, indent=1) + "\n")


def load_head(folder: str | Path, encoder: str) -> Head:
    """Read a head.

    CheckpointError if there is none, it is damaged, or belongs to another encoder than the one with these weights.
    """
    remedy = "fit one with python -m ssl_ecg.probe ... --save_head FOLDER"
    return read_head(folder, encoder, KIND, remedy, lambda said, packed: _of(said, load(packed)))


def _of(said: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Head:
    setting = Setting(said["C"], dict(said["weights"]), float("nan"))
    probe = LinearProbe(
        chosen=setting,
        table=(),
        how="given",
        unscored=(),
        exclusive=said["exclusive"],
        decision=arrays["decision"],
        sizes=dict(said["blocks"]),
        mean=arrays["mean"],
        scale=arrays["scale"],
        coefficients=arrays["coefficients"],
        intercept=arrays["intercept"],
        converged=True,
    )
    mine = {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith("normal.")}
    normal = Normal(Mahalanobis.restore(mine), **said["normal"]) if mine else None
    reduction = None
    if "reduction.axes" in arrays:
        mean, axes = (torch.from_numpy(arrays[f"reduction.{name}"]).float() for name in ("mean", "axes"))
        reduction = PrincipalComponents(mean, axes)
    how = {name: said[name] for name in ("encoder", "windows", "span", "future")}
    return Head(
        probe, tuple(said["classes"]), leads=tuple(said["leads"]), normal=normal, reduction=reduction, about=said, **how
    )

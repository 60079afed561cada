"""The gate: how far a quantised encoder is from the one it was made of, on patients that calibrated nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.metrics.scores import auroc, mean_defined

COSINE, ARGMAX, LOSS = 0.99, 0.995, 0.005


@dataclass(frozen=True)
class Agreement:
    """Figures of a quantised encoder beside its fp32 original, on held-out train patients.

    Attributes:
        windows: how many, or how many recordings, each the mean of its windows.
        patients: of how many.
        cosine: median cosine of the two embeddings of a window.
        cosine_low: the first percentile.
        nearest: share of windows whose nearest other window is the same one.
        argmax: share whose likeliest class, by the probe of the original's embeddings, is the same one.
        auroc_fp32: macro AUROC of that probe.
        auroc: the same on the quantised embeddings.
    """

    windows: int
    patients: int
    cosine: float
    cosine_low: float
    nearest: float
    argmax: float
    auroc_fp32: float
    auroc: float

    @property
    def failures(self) -> list[str]:
        """What the gate holds against it, a line each; none if it passes."""
        loss = self.auroc_fp32 - self.auroc
        found = [
            (self.cosine >= COSINE, f"median cosine {self.cosine:.4f} is below {COSINE}"),
            (self.argmax >= ARGMAX, f"the probe decides alike on {self.argmax:.2%}, less than {ARGMAX:.1%}"),
            (loss <= LOSS, f"the probe's AUROC falls by {loss:.4f}, more than {LOSS}"),
        ]
        return [text for good, text in found if not good]

    def to_dict(self) -> dict[str, float | int | list[str]]:
        """Plain values, and what failed."""
        return {**asdict(self), "failures": self.failures}


def embed_with(path: Path, batches: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Embed windows (B, C, T) with an ONNX file, on all cores: shape (n, D)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["embedding"], {"signal": x})[0] for x in batches])


def compare(
    original: NDArray[np.float32],
    quantised: NDArray[np.float32],
    targets: NDArray[np.bool_],
    patients: NDArray[np.str_],
    probe: LinearProbe,
    block: str,
) -> Agreement:
    """Compare embeddings (n, D) of the same windows; `targets` (n, K) are their classes, `probe` reads `block`."""
    cosine = (_unit(original) * _unit(quantised)).sum(1)
    chances = [probe.predict_proba({block: z}) for z in (original, quantised)]
    areas = [
        float(mean_defined(np.array([auroc(yes, of) for yes, of in zip(targets.T, p.T, strict=True)]))) for p in chances
    ]
    return Agreement(
        windows=len(original),
        patients=len(np.unique(patients)),
        cosine=float(np.median(cosine)),
        cosine_low=float(np.quantile(cosine, 0.01)),
        nearest=float((_nearest(original) == _nearest(quantised)).mean()),
        argmax=float((chances[0].argmax(1) == chances[1].argmax(1)).mean()),
        auroc_fp32=areas[0],
        auroc=areas[1],
    )


def _unit(z: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = normalize(torch.from_numpy(z), dim=1).numpy()
    return found


def _nearest(z: NDArray[np.float32]) -> NDArray[np.int64]:
    unit = _unit(z)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    return np.asarray(similar.argmax(1))

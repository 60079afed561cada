"""From features to phases of the heartbeat, a sample at a time, and the path through what is said of each."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from ssl_ecg import __version__
from ssl_ecg.checkpoint.heads import FORMAT, read_head
from ssl_ecg.files import ensure_writable, replacing, write_text
from ssl_ecg.waves.decoding import Durations, PhasePath, decode
from ssl_ecg.waves.features import Map
from ssl_ecg.waves.matching import Found
from ssl_ecg.waves.phases import PHASES, QRS, WAVES, P
from ssl_ecg.waves.refine import Refine

KIND = "delineate"
CARD = "README.md"
Wave = tuple[int, float, float, float]
"""Phase, onset and offset in samples, and confidence."""
_SHARE, _SURE = 0.7, 0.8  # of the beats; confidence
_ROW, _MARGIN = 60.0, 5.0  # s: stretches that long recordings are decoded in, and what they overlap by on either side
_AT_ONCE = 64  # of them that are decoded at once: their scores stay near the processor


@dataclass(frozen=True)
class Head:
    """A linear layer (D, K) with a bias (K,) on maps of features side by side, and how long phases last.

    K is 6, or more where convolutions `refine` them. `causal` says that leads are filtered forwards alone.
    """

    weight: Tensor
    bias: Tensor
    durations: Durations
    refine: Refine | None = None
    causal: bool = False

    def logits(self, maps: Sequence[Map], n: int) -> Tensor:
        """The score of each phase at samples 0 to n - 1, shape (n, 6), of several leads (C, n, 6)."""
        parts = self.weight.split([each.width for each in maps])
        total = sum((each.scores(part, n) for each, part in zip(maps, parts, strict=True)), start=self.bias)
        found: Tensor = total if self.refine is None else self.refine(total)
        return found

    @torch.inference_mode()
    def scores(self, maps: Sequence[Map], n: int) -> NDArray[np.float64]:
        """The log-probability of each phase at samples 0 to n - 1, shape (n, 6), of several leads (C, n, 6)."""
        return torch.log_softmax(self.logits(maps, n), dim=-1).double().numpy()

    def find(self, scores: Sequence[NDArray[np.float64]], rate: float) -> list[Found]:
        """Find the waves of leads by the scores (n, 6) of each at `rate` Hz."""
        found: list[list[Wave]] = [[] for _ in scores]
        rows: dict[int, list[tuple[int, int, int, int, int]]] = {}
        step, margin = round(_ROW * rate), round(_MARGIN * rate)
        for lead, each in enumerate(scores):
            for start in range(0, max(len(each), 1), step):
                first, last = max(0, start - margin), min(len(each), start + step + margin)
                rows.setdefault(last - first, []).append((lead, start, start + step, first, last))
        for some in rows.values():
            for part in (some[i : i + _AT_ONCE] for i in range(0, len(some), _AT_ONCE)):
                block = np.stack([scores[lead][first:last] for lead, _, _, first, last in part])
                for (lead, start, stop, first, _), row, path in zip(
                    part, block, decode(block, self.durations, rate), strict=True
                ):
                    found[lead] += [
                        (phase, on + first, off + first, sure)
                        for phase, on, off, sure in _waves(path, row)
                        if start <= (on + off) / 2 + first < stop
                    ]
        return [_found(sorted(without_strays(each, step), key=lambda wave: wave[1]), rate) for each in found]


def without_strays(waves: Sequence[Wave], step: int) -> list[Wave]:
    """Leave out the doubtful P waves of stretches of `step` samples in which few beats have one.

    P waves stand before nearly all beats or, in atrial fibrillation, before none: where fewer than seven beats of ten
    have one, those with a confidence under .8 are taken for fibrillation or noise.
    """
    count: Counter[tuple[int, int]] = Counter((wave[0], _stretch(wave, step)) for wave in waves)

    def stands(wave: Wave) -> bool:
        phase, _, _, sure = wave
        at = _stretch(wave, step)
        return phase != P or sure >= _SURE or count[P, at] >= _SHARE * count[QRS, at]

    return [wave for wave in waves if stands(wave)]


def _stretch(wave: Wave, step: int) -> int:
    return int((wave[1] + wave[2]) / 2 // step)


def _waves(path: PhasePath, scores: NDArray[np.float64]) -> list[Wave]:
    """The whole waves of a path: phase, onset and offset in samples, and the mean probability of the phase between."""
    cuts = [_crossing(scores, a, b, end) for (a, _, end), (b, _, _) in pairwise(path)]
    sure = np.cumsum(np.exp(scores), axis=0)
    return [
        (phase, on, off, float(sure[end - 1, phase] - sure[start - 1, phase]) / (end - start))
        for (phase, start, end), on, off in zip(path[1:-1], cuts[:-1], cuts[1:], strict=True)
        if phase in WAVES.values()
    ]


def _crossing(scores: NDArray[np.float64], before: int, after: int, end: int) -> float:
    """Where, between the samples nearest to the end of a phase, it stops being the more likely one."""
    for last in (end - 1, end - 2, end):
        if 0 <= last < len(scores) - 1:
            one, other = (float(scores[at, before] - scores[at, after]) for at in (last, last + 1))
            if one > 0 >= other:
                return last + one / (one - other)
    return end - 0.5


def _found(waves: Sequence[Wave], rate: float) -> Found:
    phases, on, off, sure = zip(*waves, strict=True) if waves else ((), (), (), ())
    onset, offset = np.array(on, dtype=np.float64) / rate, np.array(off, dtype=np.float64) / rate
    labels = np.array([PHASES[phase] for phase in phases], dtype=np.str_)
    return Found(labels, onset, (onset + offset) / 2, offset, np.array(sure, dtype=np.float64))


def fit(x: Tensor, y: Tensor, durations: Durations, penalty: float, steps: int = 25) -> Head:
    """Fit the layer on features (n, D) of samples of the phases y (n,): softmax regression, standardised, by L-BFGS.

    `penalty` is that of the squared weights of standardised features, per sample. L-BFGS moves in the coordinates in
    which a bound of the curvature (Boehning, Ann Inst Stat Math 44, 1992) is the unit matrix: a few steps are enough.
    """
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-6)
    z = ((x - mean) / scale).T.contiguous()
    curvature = z @ z.T / (2 * z.shape[1]) + (penalty + 1e-4) * torch.eye(len(z))
    root = torch.linalg.cholesky(curvature)
    moved = torch.zeros(len(z), len(PHASES), requires_grad=True)
    bias = torch.zeros(len(PHASES), requires_grad=True)
    optimiser = torch.optim.LBFGS([moved, bias], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def weight() -> Tensor:
        solved: Tensor = torch.linalg.solve_triangular(root.T, moved, upper=True)
        return solved

    def loss() -> Tensor:
        optimiser.zero_grad()
        w = weight()
        found = torch.nn.functional.cross_entropy((w.T @ z + bias[:, None])[None], y[None])
        found = found + penalty * w.square().sum() / 2
        found.backward()
        return found

    optimiser.step(loss)
    unscaled = weight().detach() / scale[:, None]
    return Head(unscaled, bias.detach() - mean @ unscaled, durations)


def save_head(folder: Path, head: Head, encoder: str, about: dict[str, Any]) -> None:
    """Write a head to a folder: its weights, and in `head.json` what it belongs to; UserError if it cannot be.

    `encoder` is the SHA-256 of the weights of the encoder it reads.
    """
    ensure_writable(folder)
    d = head.durations
    tensors = {"weight": head.weight, "bias": head.bias}
    tensors |= {name: torch.from_numpy(getattr(d, name)) for name in ("mean", "spread", "follows")}
    if head.refine is not None:
        tensors |= {f"refine.{name}": each for name, each in head.refine.state_dict().items()}
    packed = save({name: each.contiguous() for name, each in tensors.items()})
    with replacing(folder / "head.safetensors") as temporary:
        temporary.write_bytes(packed)
    document = {
        "format": FORMAT,
        "kind": KIND,
        "ssl_ecg": __version__,
        "classes": list(PHASES),
        "encoder": encoder,
        "causal": head.causal,
        "sha256": hashlib.sha256(packed).hexdigest(),
        **about,
    }
    write_text(folder / "head.json", json.dumps(document, indent=1) + "\n")


def load_head(folder: str | Path, encoder: str) -> tuple[Head, dict[str, Any]]:
    """Read a head and what stands in its `head.json`.

    CheckpointError if there is none, it is damaged, or belongs to another encoder than the one with these weights.
    """
    return read_head(folder, encoder, KIND, "fit a head on this encoder with --save_head", _built)


def _built(document: dict[str, Any], packed: bytes) -> tuple[Head, dict[str, Any]]:
    if document["classes"] != list(PHASES):
        raise ValueError(f"of the phases {document['classes']}, not {list(PHASES)}")
    tensors = load(packed)
    durations = Durations(*(tensors[name].numpy() for name in ("mean", "spread", "follows")))
    mine = {name.partition(".")[2]: each for name, each in tensors.items() if name.startswith("refine.")}
    refine = Refine().eval().requires_grad_(False) if mine else None
    if refine is not None:
        refine.load_state_dict(mine)
    return Head(tensors["weight"], tensors["bias"], durations, refine, document.get("causal", False)), document

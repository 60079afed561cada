"""An encoder as one ONNX graph: windows in, embeddings out, and logits where it has a head."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_ecg import __version__
from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.export.runtime import FLAT, PHASES
from ssl_ecg.waves import Head as WaveHead
from ssl_ecg.waves.features import Frozen, check_one_lead
from ssl_ecg.waves.phases import PHASES as NAMES

FORMAT = 1
EQUAL = 1e-5  # of the largest value: what ONNX Runtime may differ from torch by
_OPSET = 17  # the first with LayerNormalization


@dataclass(frozen=True)
class Head:
    """A linear probe of the embedding, to be part of the graph.

    Attributes:
        classes: K names.
        weight: shape (D, K).
        bias: shape (K,).
    """

    classes: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def of(cls, probe: LinearProbe, classes: Sequence[str]) -> Head:
        """The probe's standardisation and regression as one affine map."""
        weight = probe.coefficients / probe.scale[:, None]
        bias = probe.intercept - probe.mean @ weight
        return cls(tuple(classes), weight.astype(np.float32), bias.astype(np.float32))


class Waves(nn.Module):
    """A head that finds waves: from the encoder's maps (B, F_i, T_i) to log-probabilities of phases, (B, T, 6)."""

    def __init__(self, pretrained: PretrainedEncoder, head: WaveHead) -> None:
        super().__init__()
        check_one_lead(pretrained)
        if pretrained.preprocessing.normalise == "window":
            raise UserError("waves in the graph need an encoder whose recordings are not normalised by window")
        self.grids = pretrained.encoder.grids, pretrained.encoder.detail_grids  # measured before anything is traced
        self.placed, self.head = Frozen("", pretrained.encoder, pretrained.preprocessing.fs).placed, head

    def forward(self, maps: list[Tensor], samples: int) -> Tensor:
        """Say how likely each phase is at each of so many samples."""
        return torch.log_softmax(self.head.logits(self.placed(maps), samples), dim=-1)


class Graph(nn.Module):
    """What is exported: normalisation by window, encoder, heads.

    (B, C, T) -> (B, D), and logits (B, K) and phases (B, T, 6) where there are heads for them.
    """

    def __init__(self, pretrained: PretrainedEncoder, head: Head | None = None, waves: WaveHead | None = None) -> None:
        super().__init__()
        self.encoder = pretrained.encoder
        self.by_window = pretrained.preprocessing.normalise == "window"
        self.head = None if head is None else nn.Linear(*head.weight.shape)
        if self.head is not None and head is not None:
            self.head.weight = nn.Parameter(torch.from_numpy(head.weight.T.copy()), requires_grad=False)
            self.head.bias = nn.Parameter(torch.from_numpy(head.bias), requires_grad=False)
        self.waves = None if waves is None else Waves(pretrained, waves)

    @property
    def outputs(self) -> list[str]:
        """Names of what `forward` gives."""
        there = {"embedding": True, "logits": self.head is not None, PHASES: self.waves is not None}
        return [name for name, yes in there.items() if yes]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Embed windows as `Preprocessing.condition` gives them."""
        if self.by_window:  # as `Preprocessing.normalise_windows`, in operations that know no length beforehand
            x = x - x.mean(-1, keepdim=True)
            x = x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(FLAT)
        if self.waves is None:
            z: Tensor = self.encoder(x)
            return z if self.head is None else (z, self.head(z))
        encoder = self.encoder  # whose last maps are what it pools
        maps = list(encoder.details(encoder.seen(x)))
        pooled = encoder.join_leads(encoder.pool(maps[-len(encoder.grids) :]), x.shape[0])
        z = encoder.with_amplitudes(pooled, x)
        return (z, *([self.head(z)] if self.head is not None else ()), self.waves(maps, x.shape[-1]))


def write_graph(
    pretrained: PretrainedEncoder, path: Path, head: Head | None = None, waves: WaveHead | None = None
) -> dict[str, Any]:
    """Write an encoder as ONNX with its metadata, and prove that it gives what torch gives; returns the metadata.

    Any number of windows; of any length if the encoder gives the same as torch for several, else of the window's. The
    TorchScript-based exporter is used: it needs nothing beside onnx, takes a second, and keeps a GRU one operator.

    Raises:
        UserError: for an encoder with operations that ONNX lacks, or whose graph gives something else than torch.
    """
    graph, samples = Graph(pretrained, head, waves).eval().cpu(), pretrained.preprocessing.samples
    channels = pretrained.channels
    lengths = (samples, samples + 37, 2 * samples)
    for dynamic in (True, False):
        _trace(graph, channels, samples, path, dynamic)
        try:
            worst = max(off(graph, path, channels, length) for length in (lengths if dynamic else lengths[:1]))
        except Exception as error:  # noqa: BLE001  (ONNX Runtime's errors have no common class)
            worst, why = float("inf"), f": {error}"
        else:
            why = f" (off by {worst:.1e} of the largest value)"
        if worst <= EQUAL:
            break
    else:
        raise UserError(f"{_name(pretrained)} gives something else as ONNX than in torch{why}")
    about = describe(pretrained, head) | {"any_length": dynamic, "off_torch": worst}
    about["phases"] = list(NAMES) if waves is not None else []
    set_metadata(path, about)
    return about


def describe(pretrained: PretrainedEncoder, head: Head | None) -> dict[str, Any]:
    """Plain values for the file's metadata: all that a runtime needs to prepare a recording."""
    return {
        "format": FORMAT,
        "ssl_ecg": __version__,
        "encoder": _name(pretrained),
        "weights": pretrained.weights,
        "preprocessing": pretrained.preprocessing.to_dict(),
        "unit": "mV",
        "each_lead": pretrained.preprocessing.any_leads,
        "dim": pretrained.dim,
        "classes": list(head.classes) if head is not None else [],
        "precision": "fp32",
        "tolerance": 1e-4,
    }


def set_metadata(path: Path, about: dict[str, Any]) -> None:
    """Write metadata into an ONNX file, in place of what it had."""
    import onnx

    model = onnx.load(path)
    model.producer_name, model.producer_version = "ssl_ecg", __version__
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"ssl_ecg": json.dumps(about)})
    onnx.save(model, path)


def off(graph: Graph, path: Path, channels: int, length: int) -> float:
    """How far ONNX Runtime's embeddings of windows of a length are from torch's, of the largest value.

    Logits are those of its embeddings: compared with the largest sum of what they are made of, which may cancel.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = torch.randn(3, channels, length, generator=torch.Generator().manual_seed(length)).cumsum(-1) / 10
    with torch.inference_mode():
        given = dict(zip(graph.outputs, map(torch.from_numpy, session.run(None, {"signal": x.numpy()})), strict=True))
        z, wanted = given["embedding"], graph(x)
        wanted = wanted[0] if isinstance(wanted, tuple) else wanted
        found = float((z - wanted).abs().max() / wanted.abs().max().clamp_min(1e-12))
        if graph.head is not None:
            size = (z.abs() @ graph.head.weight.abs().T + graph.head.bias.abs()).max()
            found = max(found, float((given["logits"] - graph.head(z)).abs().max() / size))
        if graph.waves is not None:
            wanted = graph(x)[-1]
            found = max(found, float((given[PHASES] - wanted).abs().max() / wanted.abs().max()))
    return found


def _trace(graph: Graph, channels: int, samples: int, path: Path, dynamic: bool) -> None:
    axes = {"signal": {0: "batch"} | ({2: "time"} if dynamic else {}), "embedding": {0: "batch"}}
    axes |= {name: {0: "batch"} for name in graph.outputs}
    if dynamic and graph.waves is not None:
        axes[PHASES] = {0: "batch", 1: "time"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what tracing makes constant: `off` finds whether that matters
            torch.onnx.export(
                graph,
                (torch.zeros(2, channels, samples),),
                str(path),
                input_names=["signal"],
                output_names=graph.outputs,
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{type(graph.encoder).__name__} cannot be written as ONNX: {first}") from None


def _name(pretrained: PretrainedEncoder) -> str:
    return type(pretrained.encoder).__name__

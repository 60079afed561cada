"""An encoder as an ExecuTorch program: for PyTorch's runtime on phones and microcontrollers."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.errors import UserError
from ssl_ecg.export.graph import EQUAL, Graph, Head


def write_program(pretrained: PretrainedEncoder, path: Path, head: Head | None = None) -> float:
    """Write a program of one window (1, C, T), lowered to XNNPACK, and prove that it gives what torch gives.

    Returns how far off it is, of the largest value. UserError for an encoder that cannot be a program, or whose
    program gives something else than torch.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    graph, name = Graph(pretrained, head).eval().cpu(), type(pretrained.encoder).__name__
    x = _example(pretrained)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            exported = torch.export.export(graph, (x,))
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            path.write_bytes(lowered.to_executorch().buffer)
        method = Runtime.get().load_program(path).load_method("forward")
        found = [torch.as_tensor(each) for each in method.execute([x])]
    except Exception as error:  # noqa: BLE001  (what exporters and runtimes raise has no common class)
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} cannot be written as an ExecuTorch program: {first}") from None
    with torch.no_grad():
        given = graph(x)
    wanted: tuple[Tensor, ...] = given if isinstance(given, tuple) else (given,)
    off = max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-12)) for a, b in zip(found, wanted, strict=True))
    if not off <= EQUAL:
        raise UserError(f"{name} gives something else as an ExecuTorch program: off by {off:.1e} of the largest value")
    return off


def _example(pretrained: PretrainedEncoder) -> Tensor:
    """A window (1, C, T) of noise that wanders."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(1, pretrained.channels, pretrained.preprocessing.samples, generator=random).cumsum(-1) / 10

"""Static 8-bit quantisation of an exported encoder, calibrated on real windows."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.export.bias_correction import correct_biases
from ssl_ecg.export.weights import quantise_weights

_BATCH = 16  # windows at a time: calibration keeps every activation of a batch
PERCENTILE = 99.99

Ranges = Sequence[tuple[float, float] | None]
"""Of the input of each convolution, in the order of execution; None where it stays in fp32."""


@dataclass(frozen=True)
class Recipe:
    """One way to quantise; the first of `RECIPES` that passes the gate is taken.

    Attributes:
        calibration: a tensor's range is that of what calibration saw, or leaves out its rarest values.
        corrected: whether biases are shifted so that every channel has the mean it had.
        stem: whether the first convolution is quantised too, and with it the signal.
        tuned: whether the encoder is fine-tuned before, to be quantised so.
        activations: whether what flows between layers is in 8 bits too, and so arithmetic; if not, weights alone are,
            but for depthwise convolutions, and all is computed in fp32.
    """

    calibration: Literal["minmax", "percentile"] = "minmax"
    corrected: bool = False
    stem: bool = True
    tuned: bool = False
    activations: bool = True

    def __str__(self) -> str:
        ranges = "min-max" if self.calibration == "minmax" else f"percentile {PERCENTILE:g}"
        kept = "stem in fp32" if self.activations else "stem and depthwise convolutions in fp32"
        parts = {ranges if self.activations else "weights alone in 8 bits": True}
        parts |= {"biases corrected": self.corrected, kept: not self.stem, "fine-tuned": self.tuned}
        return ", ".join(name for name, there in parts.items() if there)


RECIPES = (
    Recipe(),
    Recipe(corrected=True),
    Recipe("percentile", corrected=True),
    Recipe("percentile", corrected=True, stem=False),
    Recipe("percentile", corrected=True, stem=False, tuned=True),
    Recipe(corrected=True, stem=False, activations=False),
)


def quantise(
    fp32: Path,
    int8: Path,
    windows: Sequence[NDArray[np.float32]],
    recipe: Recipe,
    ranges: Ranges = (),
) -> float:
    """Write an 8-bit copy of an ONNX file: convolutions and matrix products, per channel, weights signed.

    `windows` (C, T) calibrate it, but for inputs of convolutions whose `ranges` are given, in the order of execution.
    Activations are unsigned, in QDQ form; weights keep seven bits (`reduce_range`), since on x86 without VNNI eight
    overflow. GRUs, normalisation, pooling and heads stay in fp32. Where a recipe leaves activations alone, weights have
    all eight. Returns the share of the weights that are 8-bit.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        convolutions = [n for n in model.graph.node if n.op_type == "Conv" and not _of_waves(n.name)]
        left = [node.name for node in model.graph.node if "logits" in node.output or _of_waves(node.name)]
        left += [] if recipe.stem else [node.name for node in convolutions[:1]]
        if recipe.activations:
            given = zip(convolutions, ranges, strict=True) if len(ranges) == len(convolutions) else ()
            _static(prepared, int8, windows, recipe, left, {node.input[0]: r for node, r in given if r is not None})
        else:
            quantise_weights(prepared, int8, left)
        if recipe.corrected:
            correct_biases(prepared, int8, [batch["signal"] for batch in _batches(windows)])
    return _share(onnx.load(int8))


def _static(
    fp32: Path,
    int8: Path,
    windows: Sequence[NDArray[np.float32]],
    recipe: Recipe,
    left: list[str],
    ranges: dict[str, tuple[float, float]],
) -> None:
    """Quantise weights and activations, those of the tensors in `ranges` so; nodes named in `left` stay in fp32."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches = _batches(windows)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.batches, None)

    methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}
    quantize_static(
        fp32,
        int8,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm", "Relu", "Clip", "Add"],
        nodes_to_exclude=left,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=methods[recipe.calibration],
        extra_options={
            "CalibPercentile": PERCENTILE,
            "CalibTensorRangeSymmetric": False,
            "TensorQuantOverrides": overrides,
        },
    )


def _of_waves(node: str) -> bool:
    """Whether a node belongs to the head that finds waves."""
    return node.startswith("/waves/")


def _batches(windows: Sequence[NDArray[np.float32]]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Batches of one size, which percentiles need; what is left over is left out."""
    size = min(_BATCH, len(windows))
    for start in range(0, len(windows) - size + 1, size):
        yield {"signal": np.stack(windows[start : start + size])}


def _share(model: Any) -> float:  # noqa: ANN401
    """The share of the weights, biases apart, that are 8-bit integers."""
    import onnx

    sizes = {True: 0, False: 0}
    for tensor in model.graph.initializer:
        if len(tensor.dims) > 1:
            sizes[tensor.data_type == onnx.TensorProto.INT8] += int(np.prod(tensor.dims))
    return sizes[True] / max(1, sum(sizes.values()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back the advice and the progress that onnxruntime's quantiser gives."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)

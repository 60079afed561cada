"""Bias correction: a quantised convolution gives, on average, what it gave before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Windows = Sequence[NDArray[np.float32]]


def correct_biases(fp32: Path, int8: Path, batches: Windows) -> None:
    """Shift the biases of a quantised ONNX file's convolutions, one after the other, in place.

    Rounding weights moves the mean of a channel, which later layers see as a signal (Nagel et al. 2019,
    https://arxiv.org/abs/1906.04721, section 4.2; here from the means over calibration windows (B, C, T), each
    convolution after those before it).

    Args:
        fp32: the file that was quantised, of the same node names.
        int8: its QDQ form, whose biases are 32-bit integers, or fp32 where weights alone are quantised.
        batches: windows that calibrated it.
    """
    import onnx

    before, after = onnx.load(fp32), onnx.load(int8)
    wanted = _means(before, {n.name: n.output[0] for n in before.graph.node if n.op_type == "Conv"}, batches)
    biases = {tensor.name: tensor for tensor in after.graph.initializer}
    made = {node.output[0]: node for node in after.graph.node}
    for node in [node for node in after.graph.node if node.op_type == "Conv" and len(node.input) == 3]:
        source = made.get(node.input[2])  # the DequantizeLinear of a bias, where that is quantised too
        name = node.input[2] if source is None else source.input[0]
        if name not in biases or node.input[1] not in made or node.name not in wanted:  # its weight is in fp32
            continue
        shift = wanted[node.name] - _means(after, {node.name: node.output[0]}, batches)[node.name]
        bias = onnx.numpy_helper.to_array(biases[name])
        if source is not None:
            info = np.iinfo(bias.dtype)
            steps = np.rint(shift / onnx.numpy_helper.to_array(biases[source.input[1]]))
            moved = (bias.astype(np.float64) + steps).clip(info.min, info.max)
        else:
            moved = bias + shift
        biases[name].CopyFrom(onnx.numpy_helper.from_array(moved.astype(bias.dtype), name))
    onnx.save(after, int8)


def _means(model: Any, outputs: dict[str, str], batches: Windows) -> dict[str, NDArray[np.float64]]:  # noqa: ANN401
    """Mean of each channel of some tensors over windows and time, by the name of the node that gives them."""
    import onnx
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    have = {value.name for value in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs.values() if name not in have)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = [session.run(list(outputs.values()), {"signal": batch}) for batch in batches]
    each = zip(*([x.mean(axis=(0, *range(2, x.ndim)), dtype=np.float64) for x in of] for of in found), strict=True)
    return {name: np.mean(means, axis=0) for name, means in zip(outputs, each, strict=True)}

"""Weights alone in 8 bits: a smaller file, and arithmetic in fp32."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

_STEPS = 127  # of a channel's weights, either way


def quantise_weights(fp32: Path, int8: Path, left: Collection[str]) -> None:
    """Write a copy of an ONNX file with the weights of convolutions and matrix products in 8 bits.

    Signed, per output channel, to the nearest step, with all eight bits, since no integers are multiplied that could
    overflow. Left in fp32 are nodes named in `left` and depthwise convolutions, which have few weights and the finest
    work. What turns the others into floats is computed once, when a runtime loads the file: a DequantizeLinear would
    be kept for integer arithmetic, and computed for each window.
    """
    import onnx

    model = onnx.load(fp32)
    graph, stored = model.graph, {tensor.name: tensor for tensor in model.graph.initializer}
    made = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.name in left or node.input[1] not in stored:
            continue
        set_to = {each.name: each.i for each in node.attribute}
        if set_to.get("group", 1) > 1:
            continue
        weight = stored.pop(node.input[1])
        graph.initializer.remove(weight)
        made += _parts(graph, weight, last=node.op_type != "Conv" and not set_to.get("transB"))
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, int8)


def _parts(graph: Any, stored: Any, last: bool) -> list[Any]:  # noqa: ANN401
    """Store a weight as integers and steps, of its first axis or its `last`; gives the nodes that make it of those."""
    import onnx

    weight, name = onnx.numpy_helper.to_array(stored), stored.name
    channel = weight.ndim - 1 if last else 0
    largest = np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != channel), keepdims=True)
    step = np.maximum(largest, 1e-12) / _STEPS
    parts = {f"{name}_int8": np.rint(weight / step).astype(np.int8), f"{name}_step": step}
    graph.initializer.extend(onnx.numpy_helper.from_array(part, key) for key, part in parts.items())
    floats = onnx.helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=onnx.TensorProto.FLOAT)
    return [floats, onnx.helper.make_node("Mul", [f"{name}_float", f"{name}_step"], [name])]

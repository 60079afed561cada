"""One way to quantise after another, until the gate lets one through."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.export.fine_tune import fine_tune
from ssl_ecg.export.gate import Agreement, compare
from ssl_ecg.export.graph import Head, write_graph
from ssl_ecg.export.quantise import PERCENTILE, RECIPES, Ranges, Recipe, quantise
from ssl_ecg.export.sides import BLOCK, Sides
from ssl_ecg.study.recordings import longer

_TOLERANCE = 0.05  # what another machine's 8-bit arithmetic may differ by, of the largest value


def quantised(
    sides: Sides, probe: LinearProbe, head: Head | None, fp32: Path, int8: Path, calibration: int, steps: int, seed: int
) -> dict[str, Any]:
    """Quantise an ONNX file until the gate lets one through, else keep the best; returns what its card says.

    `calibration` windows are calibrated on; `steps` are those of the fine-tuning, 0 for none.
    """
    chosen = sides.fit.sample(calibration, seed)
    windows = [x for batch in chosen.conditioned() for x in batch.numpy()]
    if sides.study.encoder.preprocessing.any_leads:
        windows = [x[i % len(x)][None] for i, x in enumerate(windows)]
    held_out = sides.held_out
    original = sides.embedded(fp32, held_out)
    tried: list[tuple[Recipe, float, Agreement]] = []
    for recipe in (recipe for recipe in RECIPES if steps or not recipe.tuned):
        print(f"quantising: {recipe} ...", file=sys.stderr, flush=True)
        source, ranges = (fp32, ()) if not recipe.tuned else _tuned(sides, recipe, head, int8, calibration, steps, seed)
        if source is None:
            print("fine-tuning diverged", file=sys.stderr)
            continue
        attempt = int8.with_name(f"{len(tried)}.onnx")
        share = quantise(source, attempt, windows, recipe, ranges)
        found = compare(original, sides.embedded(attempt, held_out), held_out.targets, held_out.patient, probe, BLOCK)
        tried.append((recipe, share, found))
        if not found.failures:
            break
    best = min(range(len(tried)), key=lambda i: (len(tried[i][2].failures), -tried[i][2].argmax))
    for i in range(len(tried)):
        attempt = int8.with_name(f"{i}.onnx")
        attempt.rename(int8) if i == best else attempt.unlink()
    int8.with_name(_TUNED).unlink(missing_ok=True)
    recipe, share, found = tried[best]
    gate: dict[str, Any] = {**found.to_dict(), "recipe": str(recipe), "share": share, "calibration": len(windows)}
    gate |= {"data": type(sides.study.data).__name__, "of": "recordings" if longer(held_out) else "windows"}
    gate["also_tried"] = {str(r): f.to_dict() for r, _, f in tried if r != recipe}
    if not recipe.activations:  # what it computes, it computes as fp32 does
        return {"precision": "8-bit weights", "gate": gate}
    return {"precision": "int8", "tolerance": _TOLERANCE, "gate": gate}


_TUNED = "tuned.onnx"


def _tuned(
    sides: Sides, recipe: Recipe, head: Head | None, beside: Path, calibration: int, steps: int, seed: int
) -> tuple[Path | None, Ranges]:
    """Write the graph of the encoder fine-tuned on the side to fit on; gives it and its ranges, or None."""
    pretrained, draw, path = sides.study.encoder, sides.draw(seed), beside.with_name(_TUNED)
    tuned = fine_tune(pretrained.encoder, draw, draw(calibration), PERCENTILE, recipe.stem, steps)
    if tuned is None:
        return None, ()
    write_graph(PretrainedEncoder(tuned.encoder, pretrained.preprocessing), path, head)
    return path, tuned.ranges

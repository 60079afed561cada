"""The card of an export: what the file is, and what is known of it, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssl_ecg.export.gate import ARGMAX, COSINE, LOSS

_CARD = """\
# {encoder}, exported as {kind} in {precision}

| | |
|---|---|
| input | `signal`, float32, (windows, {channels}, {time}): {leads}, {fs:g} Hz, {unit} |
| before it | high-pass {highpass:g} Hz, low-pass {lowpass:g} Hz, zero phase; resampled; {normalise} |
| output | `embedding` (windows, {dim}){logits} |
| from | checkpoint with weights SHA-256 {weights} |
| file | {kilobytes:,.0f} kB |
| equal to torch | fp32 graph off by {off_torch:.1e} of the largest value |
{figures}
`runtime.py` needs this folder, NumPy and {needs}: a raw recording at any rate in, the embedding out.

```sh
python runtime.py                                  # checks golden.npz: at most {tolerance:g} of the largest value
python runtime.py ecg.npy --fs {fs:g} --leads {names}
```

Research software, not a medical device.
"""

_NORMALISE = {
    "window": "each window to zero mean and unit variance inside the graph",
    "record": "divided by the recording's typical standard deviation",
    "none": "not normalised",
}

_GATE = """
## Quantised

Weights of convolutions and matrix products in 8 bits, {share:.0%} of all ({recipe}), calibrated on {calibration}
windows of {data}; compared with fp32 on {windows:,} {of} of {patients:,} other train patients:

| | | needed |
|---|---|---|
| cosine, median | {cosine:.4f} | {need_cosine} |
| cosine, first percentile | {cosine_low:.4f} | |
| same nearest neighbour | {nearest:.1%} | |
| same class by the probe | {argmax:.2%} | {need_argmax:.1%} |
| macro AUROC | {auroc:.4f} (fp32 {auroc_fp32:.4f}) | loss at most {need_loss} |

{verdict}
"""


def write_card(about: Mapping[str, Any], kilobytes: float, program: bool = False) -> str:
    """Write an export's card from what `card.json` holds, of an ONNX file or an ExecuTorch program."""
    settings, gate = about["preprocessing"], about.get("gate")
    figures = ""
    if gate:
        failed = "; ".join(gate["failures"])
        verdict = f"**Rejected by the gate**: {failed}." if failed else "Passed the gate."
        known = {**gate, "need_cosine": COSINE, "need_argmax": ARGMAX, "need_loss": LOSS, "verdict": verdict}
        figures = _GATE.format(**known)
    names = settings["leads"]
    every = names == ["any"]
    shown = {
        "leads": "any lead, each by itself" if every else ", ".join(names),
        "names": "LEAD" if every else ",".join(names),
        "channels": len(names),
        "time": "samples" if about["any_length"] else round(settings["window"] * settings["fs"]),
        "logits": f", `logits` of {', '.join(about['classes'])}" if about["classes"] else "",
        "normalise": _NORMALISE[settings["normalise"]],
        "kilobytes": kilobytes,
        "kind": "an ExecuTorch program" if program else "ONNX",
        "needs": "executorch" if program else "ONNX Runtime",
        "figures": figures,
    }
    return _CARD.format(**{**about, **settings, **shown})

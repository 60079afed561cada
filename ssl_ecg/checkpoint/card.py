"""The model card: what a checkpoint is, for whoever finds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ssl_ecg.encoders import Encoder
from ssl_ecg.leads import ANY

_CARD = """\
---
library_name: ssl_ecg
tags: [ecg, self-supervised, {method}]
---
# {method} encoder, pretrained on {data}{then}
{warning}
| | |
|---|---|
| input | {leads}, {fs:g} Hz, windows of {window:g} s |
| filter | high-pass {highpass:g} Hz, low-pass {lowpass:g} Hz, zero phase |
| normalisation | {normalise} |
| encoder | {encoder}, {parameters:,} parameters, {dim} features |
| pretrained on | {patients} patients of {data}, without labels, {epochs} epochs, seed {seed} |
{tuned}
```python
from ssl_ecg import load_encoder
encoder = load_encoder("PATH")
z = encoder(signal, fs={fs:g}, leads={names})  # (leads, time) in mV -> ({dim},)
```

{found}; any rate from {least:g} Hz is resampled.

{measured} (what the run itself knows; no test set was touched):

{scores}

Weights, configuration and a stored embedding are checked at load.
Not a medical device: for research. The code is under the MIT licence; what may be done with these weights depends on
the licence of the data they were trained on.
"""


def describe(encoder: Encoder) -> dict[str, Any]:
    """What the card says of an encoder: class (name), parameters (count) and dim."""
    parameters = sum(p.numel() for p in encoder.parameters())
    return {"class": type(encoder).__name__, "parameters": parameters, "dim": encoder.dim}


def model_card(
    pretraining: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    encoder: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
    finetuning: Mapping[str, Any] | None = None,
) -> str:
    """Write the model card: Markdown with the Hugging Face front matter.

    `pretraining` has method, data, simulated, epochs, seed and patients, `preprocessing` is that of its `to_dict`,
    `encoder` that of `describe`, `scores` one row of named figures per system, and `finetuning` data, classes, epochs
    and patients where the encoder was fine-tuned too.
    """
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    table = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    table += [f"| {system} | {' | '.join(f'{row[n]:.3f}' for n in names)} |" for system, row in scores.items()]
    anything = tuple(preprocessing["leads"]) == ANY
    warning = "\n**Simulated data: no heart was involved. Use it to try things out.**\n"
    then = tuned = ""
    measured = "Scores on held-out training patients, by a linear probe"
    if finetuning is not None:
        then = f", fine-tuned on {finetuning['data']}"
        tuned = (
            f"| fine-tuned on | {len(finetuning['patients'])} patients of {finetuning['data']}, with labels "
            f"({', '.join(finetuning['classes'])}), {finetuning['epochs']} epochs |\n"
        )
        measured = "Scores on the validation patients, which chose the epoch"
    return _CARD.format(
        **{k: v for k, v in pretraining.items() if k != "patients"},
        **{k: v for k, v in preprocessing.items() if k != "leads"},
        leads="each lead by itself, whatever its name" if anything else ", ".join(preprocessing["leads"]),
        names=json.dumps(["I", "II"] if anything else list(preprocessing["leads"]), ensure_ascii=False),
        found="Of several leads, the embeddings are averaged" if anything else "Leads are found by name",
        least=2 * preprocessing["lowpass"] or preprocessing["fs"],
        patients=len(pretraining["patients"]),
        then=then,
        tuned=tuned,
        measured=measured,
        warning=warning if pretraining["simulated"] else "",
        encoder=encoder["class"],
        parameters=encoder["parameters"],
        dim=encoder["dim"],
        scores="\n".join(table) if names else "none: too few labelled patients were held out.",
    )

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

## Limits

{limits}

## Licence

The code is under the MIT licence; what may be done with these weights depends on the licence of the data they were
trained on: {licences}.
{recipe}"""

_RECIPE = """
## Recipe

These settings, in a file `recipe.yaml`, and `python -m ssl_ecg.pretrain --config recipe.yaml{place}`:

```yaml
{settings}```
"""

_LICENCES = {
    **dict.fromkeys(("PTBXL", "CinC2021", "CODE15"), "CC BY 4.0"),
    **dict.fromkeys(("MITBIH", "SVDB", "AFDB", "NSRDB", "LTDB", "NSTDB", "CinC2017"), "ODC-By 1.0"),
    **dict.fromkeys(("LUDB", "ECGID", "QTDB"), "ODC-By 1.0"),
    "MIMIC": "ODbL 1.0",
    "Simulated": "none, it was computed",
}
_OWN = ("name", "out", "cache", "wandb")  # settings of a run that move no weight
_PLACES = ("root", "path", "download")  # and those of a class that say where its files lie


def licence(data: str) -> str:
    """The licence of a data set, by the name of its source."""
    return _LICENCES.get(data, "ask its owner")


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

    `pretraining` has method, data, simulated, epochs, seed, patients, `preprocessing` is that of its `to_dict`,
    and where it is known recipe (its settings). `encoder` is that of `describe`, `scores` one row of named figures per
    system, and `finetuning` data, classes, epochs and patients where the encoder was fine-tuned too.
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
        **{k: v for k, v in pretraining.items() if k not in ("patients", "recipe", "data")},
        data=data_names(pretraining),
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
        scores="\n".join(table) if names else f"none: {_unscored(pretraining)}.",
        limits="\n".join(f"- {limit}" for limit in _limits(pretraining, preprocessing, scores)),
        licences="; ".join(f"{name} ({licence(name)})" for name in _licensed(pretraining)),
        recipe=_recipe(pretraining),
    )


def _unscored(pretraining: Mapping[str, Any]) -> str:
    joined = "joined" in pretraining
    return "it was joined from others, whose cards have theirs" if joined else "too few labelled patients were held out"


def shareable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run without places on the user's machine, and without what moves no weight."""

    def placeless(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Mapping):
            return {name: placeless(part) for name, part in value.items() if name not in _PLACES}
        return [placeless(part) for part in value] if isinstance(value, list) else value

    return {name: placeless(value) for name, value in settings.items() if name not in _OWN}


def _sources(pretraining: Mapping[str, Any]) -> list[str]:
    return [name.strip() for name in str(pretraining.get("data", "?")).split(",")]


def data_names(pretraining: Mapping[str, Any]) -> str:
    """The data sets, each once: two parts of a mixture may be of one."""
    return ", ".join(dict.fromkeys(_sources(pretraining)))


def _licensed(pretraining: Mapping[str, Any]) -> dict[str, None]:
    """The data sets that weights come from, a teacher's too."""
    return dict.fromkeys(name for each in (pretraining, *pretraining.get("teachers", [])) for name in _sources(each))


def _limits(
    pretraining: Mapping[str, Any], preprocessing: Mapping[str, Any], scores: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """What a user must know before relying on it."""
    found = []
    trained, fresh = (scores.get(name, {}) for name in ("pretrained", "untrained"))
    if worse := [name for name in trained if name in fresh and trained[name] <= fresh[name]]:
        found.append(f"**No better than the same network untrained** in {', '.join(worse)}.")
    found.append(
        f"Pretrained with one seed on {data_names(pretraining)} alone: on other devices, leads and populations, score "
        "it beside the untrained network first (`python -m ssl_ecg.probe`)."
    )
    if teachers := pretraining.get("teachers", []):
        data = ", ".join(teacher["data"] for teacher in teachers)
        found.append(f"Distilled from an encoder pretrained on {data}: whom that has seen counts as seen.")
    upto = preprocessing["lowpass"] or preprocessing["fs"] / 2
    band = f"{preprocessing['highpass']:g} to {upto:g} Hz"
    found.append(f"It sees {band}, and recordings of {preprocessing['window']:g} s or more.")
    if preprocessing["normalise"] != "none":
        found.append(f"Amplitudes in mV are lost: signals are normalised by {preprocessing['normalise']}.")
    found.append("An embedding tells who somebody is, as the recording does: it is no anonymous data.")
    found.append(
        "Not a medical device: for research. Weights, configuration and a stored embedding are checked at load."
    )
    return found


def _recipe(pretraining: Mapping[str, Any]) -> str:
    if "recipe" not in pretraining:
        return ""
    import yaml

    sources = _sources(pretraining)
    # As the command line names the parts of a mixture: by number where two are of one class.
    of = {
        i: f".{name if sources.count(name) == 1 else i}" if len(sources) > 1 else "" for i, name in enumerate(sources)
    }
    places = [f" --data{of[i]}.root FOLDER" for i, name in enumerate(sources) if name != "Simulated"]
    return _RECIPE.format(
        place="".join(places), settings=yaml.safe_dump(dict(pretraining["recipe"]), sort_keys=False, allow_unicode=True)
    )

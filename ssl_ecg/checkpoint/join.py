"""Several pretrained encoders as one, whose embeddings stand side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.checkpoint.files import GOLDEN
from ssl_ecg.checkpoint.folder import load_encoder, public_name, save_encoder
from ssl_ecg.checkpoint.lineage import with_seen_by
from ssl_ecg.checkpoint.pretrained import PretrainedEncoder
from ssl_ecg.checkpoint.references import find_checkpoint
from ssl_ecg.encoders import SideBySide
from ssl_ecg.errors import UserError


def join(refs: Sequence[str | Path], folder: str | Path, trust: bool | Collection[str] = False) -> Path:
    """Write a checkpoint of several encoders side by side, which knows all that each of them has seen.

    Args:
        refs: two or more references to checkpoints; see `load_encoder`.
        folder: gets the checkpoint, whole or not at all.
        trust: as for `load_encoder`; an encoder of your own cannot be joined.

    Returns:
        The folder.

    Raises:
        CheckpointError: for one that cannot be loaded.
        UserError: for fewer than two, differing preprocessing, or encoders that do not fit together.
    """
    if len(refs) < 2:
        raise UserError(f"join takes two checkpoints or more, with commas between them, not {len(refs)}")
    places = [find_checkpoint(ref) for ref in refs]
    parts = [load_encoder(place, trust) for place in places]
    first, *others = parts
    for ref, part in zip(refs[1:], others, strict=True):
        mine, theirs = first.preprocessing.to_dict(), part.preprocessing.to_dict()
        if differing := [f"{name} {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name]]:
            raise UserError(
                f"{refs[0]} and {ref} are prepared for differently ({'; '.join(differing)}): join encoders that see "
                "the same signal"
            )
    described = [{"class_path": public_name(part.encoder), "init_args": part.encoder.arguments} for part in parts]
    try:
        encoder = SideBySide(first.encoder.in_channels, described)
    except ValueError as error:
        raise UserError(f"{', '.join(map(str, refs))} cannot be joined: {error}") from None
    for empty, part in zip(encoder.encoders, parts, strict=True):
        empty.load_state_dict(part.encoder.state_dict())
    pretraining = _card(parts)
    signal = load_file(places[0] / GOLDEN)["signal"].numpy()
    tuned = pretraining.get("finetuning")
    card = model_card(pretraining, first.preprocessing.to_dict(), describe(encoder), {}, tuned)
    return save_encoder(folder, encoder, first.preprocessing, pretraining, signal, card)


def _card(parts: Sequence[PretrainedEncoder]) -> dict[str, Any]:
    """What all of them have seen, as the card of one."""

    def each(name: str) -> str:
        return " + ".join(str(part.card.get(name, "unknown")) for part in parts)

    data = ", ".join(str(part.card.get("data", "unknown")) for part in parts)
    own = {"method": each("method"), "data": data, "epochs": each("epochs"), "seed": each("seed"), "patients": []}
    teachers = [teacher for part in parts for teacher in part.card.get("teachers", [])]
    joined = [{"weights": part.weights, "data": part.card.get("data", "unknown")} for part in parts]
    tuned = [part.card["finetuning"] for part in parts if "finetuning" in part.card]
    return with_seen_by(own | {"cohorts": []}, parts) | {
        **({"teachers": teachers} if teachers else {}),
        **({"finetuning": _tuned(tuned)} if tuned else {}),
        "joined": joined,
    }


def _tuned(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How those of them that were fine-tuned were."""

    def union(name: str) -> list[str]:
        return list(dict.fromkeys(one for tuning in each for one in tuning[name]))

    data = ", ".join(dict.fromkeys(tuning["data"] for tuning in each))
    epochs = " + ".join(str(tuning["epochs"]) for tuning in each)
    return {"data": data, "classes": union("classes"), "epochs": epochs, "patients": union("patients")}

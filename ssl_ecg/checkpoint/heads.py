"""Folders of heads: read and checked, and those in the package, each beside its encoder: `NAME/heads/KIND`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ssl_ecg.checkpoint.references import find_checkpoint, shipped
from ssl_ecg.errors import CheckpointError

Head = TypeVar("Head")
FORMAT = 1


def read_head(
    folder: str | Path, encoder: str, kind: str, remedy: str, build: Callable[[dict[str, Any], bytes], Head]
) -> Head:
    """Read a head from its folder: what `build` makes of its `head.json` and of the bytes of `head.safetensors`.

    CheckpointError if there is none of the kind, it is damaged, or belongs to another encoder than the one with these
    weights; the `remedy` says how to fit one.
    """
    folder = Path(folder).expanduser()
    try:
        said = json.loads((folder / "head.json").read_text())
        packed = (folder / "head.safetensors").read_bytes()
        if (said["format"], said["kind"]) != (FORMAT, kind):
            raise CheckpointError(f"{folder} is no head of kind {kind} and format {FORMAT}: {said['kind']}")
        if hashlib.sha256(packed).hexdigest() != said["sha256"]:
            raise CheckpointError(f"{folder}/head.safetensors is not the file that was saved: fit the head again")
        if said["encoder"] != encoder:
            raise CheckpointError(
                f"the head in {folder} belongs to the encoder with weights {said['encoder'][:12]}, and this one's are "
                f"{encoder[:12]}: {remedy}"
            )
        return build(said, packed)
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001  (JSON and safetensors each raise several kinds of their own)
        raise CheckpointError(f"{folder} holds no head that can be read ({type(error).__name__}: {error})") from None


def shipped_head(weights: str, kind: str) -> Path | None:
    """Find the head that ssl_ecg ships for an encoder, by the SHA-256 of its weights; None if there is none.

    `kind` is "waves" or "beats". Where the encoder came from does not matter: a copy has the same head.
    """
    for name in shipped():
        folder = find_checkpoint(name)
        if heads_in(folder).get(kind, {}).get("encoder") == weights:
            return folder / "heads" / kind
    return None


def heads_in(checkpoint: Path) -> dict[str, dict[str, Any]]:
    """What `head.json` says of each head in a checkpoint's folder, by its kind."""
    files = sorted(checkpoint.glob("heads/*/head.json"))
    return {file.parent.name: json.loads(file.read_text()) for file in files}


def with_head(kind: str) -> list[str]:
    """Names of the encoders that ssl_ecg ships with a head of this kind."""
    return [name for name in shipped() if kind in heads_in(find_checkpoint(name))]

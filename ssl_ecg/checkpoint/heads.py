"""Heads inside the package, each beside the encoder it was fitted on: `NAME/heads/KIND`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssl_ecg.checkpoint.references import find_checkpoint, shipped


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

"""A checkpoint's files, and the proof that those of weights are the ones that were saved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ssl_ecg.errors import CheckpointError, DataError

CONFIG, WEIGHTS, DECODER, GOLDEN, CARD = (
    "config.json",
    "model.safetensors",
    "decoder.safetensors",
    "golden.safetensors",
    "README.md",
)
FORMAT = 2  # 1 named the modules of classes; it is read, and no longer written
FILES = (CONFIG, WEIGHTS, DECODER, GOLDEN, CARD)
"""All that is fetched: nothing that would have to be unpickled or run."""


def check_saved(file: Path, config: dict[str, Any], where: str) -> None:
    """Refuse, by a CheckpointError that names `where` it is, a file of weights that is not the one that was saved."""
    found, expected = hashlib.sha256(file.read_bytes()).hexdigest(), config["sha256"][file.name]
    if found != expected:
        differ = f"SHA-256 {found[:12]}..., expected {expected[:12]}..."
        raise CheckpointError(
            f"{where}/{file.name} is not the file that was saved ({differ}): the weights were changed or damaged; "
            "fetch or train the checkpoint again"
        )


def unwritable(ref: str, cache: Path, error: OSError | DataError) -> CheckpointError:
    """Make the error that says that a reference's cache cannot be written, and what to do."""
    why = (error.strerror if isinstance(error, OSError) else None) or error
    return CheckpointError(
        f"{ref} cannot be fetched: the cache {cache} cannot be written ({why}): free some space, or set SSL_ECG_CACHE "
        "to another folder"
    )


def check_fetched(folder: Path, ref: str) -> Path:
    """Refuse, by a CheckpointError, what was fetched and is no whole checkpoint; the folder if it is one."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        if config.get("format", 0) > FORMAT:
            return folder  # what its files are called a newer ssl_ecg knows; loading it says so
        names = [*config["sha256"], GOLDEN]
    except FileNotFoundError:
        raise CheckpointError(f"{ref} holds no checkpoint of ssl_ecg: it has no {CONFIG}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{ref} holds no checkpoint of ssl_ecg: its {CONFIG} is another library's or damaged "
            f"({type(error).__name__}: {error})"
        ) from None
    if missing := [name for name in names if name not in FILES or not (folder / name).is_file()]:
        raise CheckpointError(f"{ref} is no whole checkpoint: it has no {', '.join(missing)}")
    for name in config["sha256"]:
        check_saved(folder / name, config, ref)
    return folder

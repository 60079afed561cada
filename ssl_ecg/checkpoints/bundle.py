"""A run as one archive."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.errors import UserError
from ssl_ecg.files import replacing
from ssl_ecg.report.state import NAME as SIDECAR

_KEPT = {".safetensors", ".json", ".yaml", ".csv", ".png", ".md"}  # no training state, which is pickled, and no logs
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip knows: the same run gives the same archive


def export_run(run: Path, path: Path) -> str:
    """Write a run's checkpoint, settings, metrics, results and figures to a zip archive, and give its SHA-256.

    CheckpointError if the run holds no checkpoint; UserError if the archive cannot be written.
    """
    find_checkpoint(run)
    if path.suffix != ".zip":
        raise UserError(f"an archive is called NAME.zip, not {path.name}")
    # Not which machine and job it was trained by.
    files = sorted(f for f in run.rglob("*") if f.is_file() and f.suffix in _KEPT and f.name != SIDECAR)
    inside = [(file, file.relative_to(run)) for file in files]
    with replacing(path) as temporary:
        with zipfile.ZipFile(temporary, "w") as archive:
            for file, name in inside:
                if "wandb" not in name.parts and not any(part.startswith(".") for part in name.parts):
                    entry = zipfile.ZipInfo(f"{run.resolve().name}/{name.as_posix()}", _EPOCH)
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
        with open(temporary, "rb") as made:
            digest = hashlib.file_digest(made, "sha256").hexdigest()
    return digest

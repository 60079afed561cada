"""Checkpoints as artifacts of Weights & Biases: a version is fetched once, an alias such as `latest` asked for anew."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from pathlib import Path
from types import ModuleType

from ssl_ecg.checkpoint.files import FILES, unwritable
from ssl_ecg.errors import CheckpointError, DataError, UserError
from ssl_ecg.files import alone_in, default_cache

_REFERENCE = re.compile(r"wandb:/{1,2}([\w.-]+)/([\w.-]+)/([\w.-]+)(?::([\w.-]+))?")
_KIND = "model"


def parse(ref: str) -> tuple[str, str, str, str]:
    """Entity, project, artifact and version of `wandb://ENTITY/PROJECT/ARTIFACT[:VERSION]`; CheckpointError if none."""
    match = _REFERENCE.fullmatch(ref)
    if match is None:
        raise CheckpointError(f"{ref}: an artifact of Weights & Biases is wandb://ENTITY/PROJECT/ARTIFACT:VERSION")
    return match[1], match[2], match[3], match[4] or "latest"


def fetch(ref: str, again: bool = False) -> Path:
    """Fetch an artifact into the cache, or find it there, and give its folder.

    `again` fetches it although it is there. CheckpointError, with the remedy, if it cannot be had; UserError if wandb
    is not installed.
    """
    entity, project, name, version = parse(ref)
    place = default_cache() / "checkpoints" / "wandb" / entity / project / name
    numbered = re.fullmatch(r"v\d+", version) is not None
    if numbered and not again and (place / version).is_dir():
        return place / version
    wandb = _wandb()
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        copies = ", ".join(sorted(folder.name for folder in place.glob("v*"))) or "none"
        raise CheckpointError(
            f"{ref} cannot be fetched: WANDB_MODE is {os.environ['WANDB_MODE']}, and the copies here are {copies}: "
            f"name one, or pull it once where there is a network (python -m ssl_ecg.checkpoints pull {ref})"
        )
    try:
        artifact = wandb.Api().artifact(f"{entity}/{project}/{name}:{version}")
        found = str(artifact.version)
        with alone_in(place):
            if again or not (place / found).is_dir():
                fresh = place / f".{uuid.uuid4().hex}"
                try:
                    artifact.download(root=str(fresh))
                    artifact.verify(root=str(fresh))
                    shutil.rmtree(place / found, ignore_errors=True)
                    fresh.rename(place / found)
                finally:
                    shutil.rmtree(fresh, ignore_errors=True)
    except (OSError, DataError) as error:
        raise unwritable(ref, place, error) from None
    except (wandb.Error, ValueError) as error:
        raise CheckpointError(
            f"{ref} cannot be fetched: {error}; check its name and version, and that `wandb login` has an account that "
            "may see it"
        ) from None
    return place / found


def push(folder: Path, ref: str) -> str:
    """Log a checkpoint's folder as an artifact, offline where WANDB_MODE says so, and say where it is.

    CheckpointError if that fails; UserError if wandb is not installed.
    """
    entity, project, name, _ = parse(ref)
    wandb = _wandb()
    try:
        with wandb.init(
            entity=entity, project=project, job_type="push", settings=wandb.Settings(silent=True, console="off")
        ) as run:
            artifact = wandb.Artifact(name, type=_KIND)
            for file in (folder / file for file in FILES):
                if file.exists():
                    artifact.add_file(str(file), name=file.name)
            logged = run.log_artifact(artifact)
            if run.offline:
                return f"{Path(run.dir).parent}, for `wandb sync`"
            logged.wait()
            return f"wandb://{entity}/{project}/{logged.name}"
    except (wandb.Error, OSError, ValueError) as error:
        raise CheckpointError(f"cannot push to {ref}: {error}") from None


def _wandb() -> ModuleType:
    try:
        import wandb
    except ImportError:
        raise UserError("wandb is not installed: pip install 'ssl-ecg[wandb]'") from None
    return wandb

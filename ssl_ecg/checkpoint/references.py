"""References: a checkpoint named in one line, wherever it is, and found as a folder.

- a run's folder, or a checkpoint's;
- `NAME`: an encoder inside the package;
- `hf://ORG/NAME[@REVISION]`: a repository of the Hugging Face Hub;
- `wandb://ENTITY/PROJECT/ARTIFACT:VERSION`: an artifact of Weights & Biases;
- `https://ADDRESS#sha256=DIGEST`: a zip or tar archive, such as `export-run` writes.

What lies elsewhere is fetched once, checked, and kept.
"""

from __future__ import annotations

import re
from pathlib import Path

from ssl_ecg.checkpoint import archive, artifact, hub
from ssl_ecg.checkpoint.files import CONFIG, check_fetched
from ssl_ecg.errors import CheckpointError

_SHIPPED = Path(__file__).with_name("shipped")
_FETCH = {"hf": hub.fetch, "wandb": artifact.fetch, "https": archive.fetch, "http": archive.fetch}


def find_checkpoint(ref: str | Path) -> Path:
    """Find the folder of a checkpoint, given by reference; fetch it if it is not here.

    CheckpointError, with the remedy, if there is none, it cannot be fetched, or what was fetched is not what was saved.
    """
    if (scheme := scheme_of(ref)) is not None:
        return _fetched(str(ref), scheme)
    folder = Path(ref).expanduser()
    if str(ref) in shipped():
        folder = _SHIPPED / str(ref)
    elif not folder.exists():
        raise CheckpointError(_nowhere(str(ref)))
    if (folder / "checkpoint" / CONFIG).exists():
        folder = folder / "checkpoint"
    if not (folder / CONFIG).exists():
        run = (folder / "config.yaml").exists()
        hint = ": training has not finished; run the same pretrain command again" if run else ""
        raise CheckpointError(f"{folder} is no checkpoint: it holds no {CONFIG}{hint}")
    return folder


def shipped() -> tuple[str, ...]:
    """Names of the encoders inside the package."""
    return tuple(sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / CONFIG).exists()))


def scheme_of(ref: str | Path) -> str | None:
    """What a reference begins with, such as "hf"; None for a folder or a name."""
    match = re.match(r"([a-z][a-z0-9]+):/", str(ref))  # one slash: what is left of two in a `Path`
    return match[1] if match else None


def short_name(ref: str | Path) -> str:
    """A name for tables and folders: `hf://org/name@v2` is `org-name-v2`, a folder is called by its own name."""
    if (scheme := scheme_of(ref)) is None:
        place = Path(ref).expanduser()
        return place.parent.name if place.name == "checkpoint" and place.parent.name else place.resolve().name
    rest = str(ref)[len(scheme) + 1 :].lstrip("/").partition("#")[0]
    if scheme in ("http", "https"):
        rest = re.sub(r"\.(zip|tgz|tar(\.\w+)?)$", "", rest.partition("?")[0].rpartition("/")[2])
    return "-".join(re.findall(r"[\w.]+", rest)) or "checkpoint"


def results_folder(ref: str | Path) -> Path:
    """Where what is made of a checkpoint is kept by default: in its own folder if that is the user's, else in runs/."""
    ours = scheme_of(ref) is not None or str(ref) in shipped()
    return Path("runs") / short_name(ref) if ours else Path(ref).expanduser()


def _fetched(ref: str, scheme: str) -> Path:
    fetch = _FETCH.get(scheme)
    if fetch is None:
        raise CheckpointError(f"{ref}: a reference begins with {', '.join(f'{s}://' for s in _FETCH)}, not {scheme}://")
    folder = fetch(ref)
    try:
        return check_fetched(folder, ref)
    except CheckpointError as error:
        first = error
    # A copy that was damaged here is whole again after this; one that was changed where it came from is not.
    try:
        return check_fetched(fetch(ref, again=True), ref)
    except CheckpointError as error:
        raise (first if _unreachable(error) else error) from None


def _unreachable(error: CheckpointError) -> bool:
    return "cannot be fetched" in str(error)


def _nowhere(ref: str) -> str:
    """What to say of a reference that names nothing."""
    said = f"{ref} does not exist: give the folder of a run or of a checkpoint"
    known = ", ".join(shipped()) or "none in this version"
    return said + (
        f", an encoder that ssl_ecg ships ({known}), or hf://ORG/NAME, wandb://ENTITY/PROJECT/ARTIFACT:VERSION or "
        "https://ADDRESS#sha256=DIGEST"
    )

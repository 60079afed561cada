"""The checkpoints on this machine: a line of each, and the card of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.checkpoint.card import data_names
from ssl_ecg.checkpoint.files import CARD, CONFIG, WEIGHTS
from ssl_ecg.checkpoint.heads import heads_in
from ssl_ecg.checkpoint.references import shipped
from ssl_ecg.errors import CheckpointError
from ssl_ecg.files import default_cache


@dataclass(frozen=True)
class Entry:
    """A checkpoint: the reference it is had by, its folder, and its `config.json`."""

    ref: str
    folder: Path
    config: dict[str, Any]

    def row(self) -> dict[str, str]:
        """What a list says of it."""
        p, trained = self.config["preprocessing"], self.config.get("pretraining") or {}
        size = (self.folder / WEIGHTS).stat().st_size
        return {
            "encoder": str(self.config["encoder"]["class"]).rpartition(".")[2],
            "MB": f"{size / 1e6:.1f}",
            "leads": ", ".join(p["leads"]) if len(p["leads"]) < 5 else f"{len(p['leads'])} leads",
            "Hz": f"{p['fs']:g}",
            "window": f"{p['window']:g} s",
            "pretrained by": str(trained.get("method", "?")),
            "on": data_names(trained) + (" (simulated)" if trained.get("simulated") else ""),
            "weights": str(self.config["sha256"][WEIGHTS])[:12],
        }


def here(root: Path | None = None) -> list[Entry]:
    """Find what ssl_ecg ships, what was pulled, and what lies in a folder of runs; what cannot be read is left out."""
    places = [(name, find_checkpoint(name)) for name in shipped()]
    places += [*_from_hub(), *_from_archives(), *_from_wandb()]
    if root is not None:
        for folder in sorted(path for path in root.expanduser().glob("*") if path.is_dir()):
            try:
                places.append((str(folder), find_checkpoint(folder)))
            except CheckpointError:  # another folder
                continue
    entries = [_entry(ref, folder) for ref, folder in places]
    return [entry for entry in entries if entry is not None]


def card_of(folder: Path, ref: str) -> str:
    """The card of a checkpoint as a text, with the reference in its example."""
    try:
        card = (folder / CARD).read_text()
    except OSError:
        card = f"It has no card ({CARD}).\n"
    text = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    text = text.replace('load_encoder("PATH")', f'load_encoder("{ref}")')
    entry = _entry(ref, folder)
    rows = {} if entry is None else entry.row()
    for kind, said in heads_in(folder).items():
        rows[f"head, {kind}"] = f"fitted on {said['fitted_on']}, {said.get('people', said.get('patients'))} people"
    facts = "".join(f"{name:14}{value}\n" for name, value in rows.items())
    return f"{ref}\n{facts}\n{text.strip()}"


def _entry(ref: str, folder: Path) -> Entry | None:
    try:
        entry = Entry(ref, folder, json.loads((folder / CONFIG).read_text()))
        entry.row()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return entry


def _from_hub() -> Iterator[tuple[str, Path]]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return
    for repository in sorted(repositories, key=lambda found: found.repo_id):
        for revision in repository.revisions:
            name = next(iter(sorted(revision.refs)), revision.commit_hash)
            yield f"hf://{repository.repo_id}@{name}", revision.snapshot_path


def _from_archives() -> Iterator[tuple[str, Path]]:
    for source in sorted((default_cache() / "checkpoints").glob("*/source")):
        found = sorted((source.parent / "content").rglob(CONFIG), key=lambda path: len(path.parts))
        if found:
            yield source.read_text(), found[0].parent


def _from_wandb() -> Iterator[tuple[str, Path]]:
    for folder in sorted((default_cache() / "checkpoints" / "wandb").glob("*/*/*/v*")):
        *_, entity, project, name, version = folder.parts
        yield f"wandb://{entity}/{project}/{name}:{version}", folder

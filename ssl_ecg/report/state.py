"""How a run fares, by what its folder says; `ssl_ecg.training.sidecar` writes the sidecar."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

NAME = "sidecar.json"
STALE = 60.0  # s after which a job without a sign of life is taken to be gone


def read_sidecar(folder: Path) -> dict[str, Any] | None:
    """Read a run's sidecar; None where there is none, or it cannot be read."""
    try:
        return dict(json.loads((folder / NAME).read_text()))
    except (OSError, ValueError):
        return None


def state_of(folder: Path) -> str:
    """Name a run's state: running, stalled, stopped, finished or failed.

    One that says it is running, but gave no sign of life for a minute, is stalled. One of an older version, without a
    sidecar, is finished or stopped.
    """
    said = read_sidecar(folder)
    if not said:
        return "finished" if (folder / "checkpoint" / "config.json").exists() else "stopped"
    state = str(said.get("state"))
    if state == "running" and time.time() - (folder / NAME).stat().st_mtime > STALE:
        return "stalled"
    return state

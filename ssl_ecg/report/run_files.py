"""What a run left in its folder, read back for its page: settings, metrics, scores, starts; no data, no weights."""

from __future__ import annotations

import csv
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ssl_ecg.errors import UserError
from ssl_ecg.report.results import Results, read_results
from ssl_ecg.report.state import read_sidecar, state_of


@dataclass(frozen=True)
class RunFiles:
    """The files of a run's folder, each read when it is asked for; empty where there is none, or it cannot be read.

    UserError for a folder without `config.yaml`.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "config.yaml").exists():
            raise UserError(f"{self.folder} is no run: it has no config.yaml")

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @cached_property
    def config(self) -> dict[str, Any]:
        """All settings."""
        try:
            return dict(yaml.safe_load((self.folder / "config.yaml").read_text()) or {})
        except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
            raise UserError(f"{self.folder / 'config.yaml'} cannot be read: {str(error).splitlines()[0]}") from None

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The metrics of each epoch."""
        with suppress(OSError, ValueError), (self.folder / "metrics.csv").open(newline="") as file:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        return []

    @cached_property
    def results(self) -> dict[str, Any]:
        """What the run itself found, such as the scores of the pretrained and the untrained encoder."""
        return self._json("results.json")

    @cached_property
    def said(self) -> dict[str, Any]:
        """The last start, and those before it; see `ssl_ecg.training.sidecar`."""
        return read_sidecar(self.folder) or {}

    @cached_property
    def card(self) -> dict[str, Any]:
        """What the checkpoint says of the encoder, and of how it was trained."""
        return self._json("checkpoint/config.json")

    @property
    def state(self) -> str:
        """How it fares: finished, running, stopped, failed, or stalled since a time."""
        if self.card:  # also while the page is written, before the sidecar says so
            return "finished"
        state = state_of(self.folder)
        return f"stalled since {moment(self.said.get('heartbeat', 0))}" if state == "stalled" else state

    @property
    def starts(self) -> list[dict[str, Any]]:
        """Every start of the run, the first one first."""
        return [*self.said.get("earlier", []), self.said] if self.said else []

    @cached_property
    def evaluations(self) -> dict[str, Results]:
        """What questions found about its checkpoint, by the name of their folder below it."""
        found = {}
        for path in sorted(self.folder.glob("*/*.json")):
            if path.parent.name != "checkpoint":
                with suppress(UserError):
                    name = path.parent.name if path.stem == "results" else f"{path.parent.name}/{path.stem}"
                    found[name] = read_results(path)
        return found

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / name).read_text()))
        except (OSError, ValueError, TypeError):
            return {}


def moment(seconds: float) -> str:
    """Write a time since 1970 as `2026-11-29 06:40`, by the clock of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))

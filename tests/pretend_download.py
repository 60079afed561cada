"""A download that copies from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ssl_ecg.data import download


def download_from(site: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let PhysioNet have one database, which lies in `site`; returns the list that tells what was asked for."""
    asked: list[str] = []

    def copy(name: str, files: Sequence[str], root: Path) -> None:
        assert name == database
        for file in files:
            asked.append(file)
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes((site / file).read_bytes())

    monkeypatch.setattr(download, "from_physionet", copy)
    return asked

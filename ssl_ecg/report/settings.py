"""The settings of runs, one name a setting, so that two runs are compared setting by setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(value: object, prefix: str = "") -> dict[str, Any]:
    """Write nested mappings and lists as dotted names; a class of ours by its name alone, wherever it lies."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        items = dict(enumerate(value)).items()
    elif prefix.endswith("class_path") and str(value).startswith(("ssl_ecg.", "augmentations.")):
        return {prefix: str(value).rpartition(".")[2]}  # ours may move from module to module
    else:
        return {prefix: value}
    return {k: v for name, part in items for k, v in flat(part, f"{prefix}.{name}" if prefix else str(name)).items()}


def spelt(name: str) -> str:
    """Write the dotted name of a setting as on the command line: `method.encoder.width`, and `method` for its class."""
    return name.replace("init_args.", "").removesuffix(".class_path")


def differing(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Find the settings in which runs differ, by name on the command line, and each run's value where it has one."""
    every = {run: {spelt(name): value for name, value in flat(dict(config)).items()} for run, config in configs.items()}
    names = list(dict.fromkeys(name for settings in every.values() for name in settings))
    rows = {name: {run: settings[name] for run, settings in every.items() if name in settings} for name in names}
    return {
        name: row
        for name, row in rows.items()
        if len(row) < len(every) or any(value != next(iter(row.values())) for value in row.values())
    }

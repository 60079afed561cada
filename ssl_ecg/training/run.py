"""The folder of a run, with which the same command goes on."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable, write_text
from ssl_ecg.report.settings import flat
from ssl_ecg.report.state import NAME as SIDECAR
from ssl_ecg.training.processes import first_process

# What may differ between the first start and a resume without changing the result.
_FREE = (
    *("cache", "data.init_args.root", "data.init_args.download", "trainer.save_minutes", "wandb", "out", "name"),
    *("validate", "resamples", "probe_every", "device"),  # how a model is scored
)

_OF_SEVERAL = re.compile(r"init_args\.sources\.\d+\.")  # between data and the settings of one of several


def run_folder(out: str, name: str) -> Path:
    """The folder of a run in that of all runs; UserError if the name is no name of a folder there."""
    folder = Path(out) / name
    if name in ("", ".", "..") or Path(name).name != name:
        raise UserError(f"name must be that of a folder in {out}, without a path, not {name!r}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give another --name")
    return folder


def has_trained(folder: Path) -> bool:
    """Whether a run's folder holds a state of training or a checkpoint: its settings stand from then on."""
    return any(any(folder.glob(kept)) for kept in ("last.ckpt", "*/last.ckpt", "checkpoint/config.json"))


class Run:
    """The folder of one run, made if it is not there.

    The first start writes `config`, the resolved configuration, to `config.yaml`, and `origin`, plain values of what
    else the result comes from, such as a checksum of weights, to `origin.json`. Later starts must agree with both once
    something was trained. `defaults`, the configuration with every setting at its default, stands for settings that
    `config.yaml` of an older version does not know.

    UserError if the folder cannot be written, holds something else, or was started with other settings or from
    something else.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        origin: dict[str, str] | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint"
        before, kept = folder / "config.yaml", folder / "origin.json"
        again = before.exists() and has_trained(folder)
        if again:
            old = flat(defaults or {}) | flat(yaml.safe_load(before.read_text()) or {})
            self._compare(old, flat(config), "with other settings; give the same ones to go on with it, or another")
            if origin is not None and kept.exists():
                mine = {name: value for name, value in json.loads(kept.read_text()).items() if name in origin}
                self._compare(mine, origin, "from something else, though its settings are the same; give another")
        if not first_process():  # which may be writing just now
            return
        if not again and not before.exists() and folder.exists() and not all(map(_evaluation, folder.iterdir())):
            raise UserError(f"{folder} is not empty and no run of ssl_ecg: give another --name")
        ensure_writable(folder)
        if not again:
            write_text(before, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        if origin is not None and not (again and kept.exists()):
            if again:
                print(f"{folder} does not say what it began with: taken to be what is there now", file=sys.stderr)
            write_text(kept, json.dumps(origin, indent=1))

    @property
    def started(self) -> bool:
        """Whether there is training to go on with."""
        return (self.folder / "last.ckpt").exists()

    @property
    def finished(self) -> bool:
        """Whether training is done and its checkpoint written."""
        return (self.checkpoint / "config.json").exists()

    def config(self) -> dict[str, Any]:
        """The resolved configuration the run was started with."""
        return yaml.safe_load((self.folder / "config.yaml").read_text()) or {}

    def results(self) -> dict[str, Any]:
        """What `write_results` wrote."""
        return dict(json.loads((self.folder / "results.json").read_text()))

    def write_results(self, results: dict[str, Any]) -> Path:
        """Write `results.json`."""
        path = self.folder / "results.json"
        write_text(path, json.dumps(results, indent=1))
        return path

    def _compare(self, old: dict[str, Any], new: dict[str, Any], how: str) -> None:
        changed = [
            f"{name.replace('init_args.', '')}: was {old.get(name, 'not set')}, now {new.get(name, 'not set')}"
            for name in dict.fromkeys([*new, *old])
            if old.get(name) != new.get(name) and not _OF_SEVERAL.sub("", name).startswith(_FREE)
        ]
        if changed:
            more = ["..."] if len(changed) > 8 else []
            lines = [f"{self.folder} was started {how} --name for a new run:", *changed[:8], *more]
            raise UserError("\n".join(lines))


def _evaluation(path: Path) -> bool:
    """Whether this holds an evaluation's results, or nothing, or says who trains here: it blocks no run."""
    if path.name == SIDECAR:
        return True
    return path.is_dir() and ((path / "results.json").exists() or not any(path.iterdir()))

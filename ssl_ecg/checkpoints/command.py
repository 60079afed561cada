"""`python -m ssl_ecg.checkpoints`: what there is, what it is, and how it gets from one machine to another."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ssl_ecg import cli
from ssl_ecg.checkpoint import artifact, find_checkpoint, hub, load_encoder
from ssl_ecg.checkpoint.files import CARD, FILES
from ssl_ecg.checkpoint.folder import TOLERANCE, golden_error
from ssl_ecg.checkpoint.join import join
from ssl_ecg.checkpoint.references import scheme_of
from ssl_ecg.checkpoints.bundle import export_run
from ssl_ecg.checkpoints.catalogue import Entry, card_of, here
from ssl_ecg.errors import UserError
from ssl_ecg.report.tables import Value, print_table


@dataclass
class List:
    """List the checkpoints on this machine: those ssl_ecg ships, those that were pulled, and those of a folder of runs.

    Examples:
        python -m ssl_ecg.checkpoints list
        python -m ssl_ecg.checkpoints list --root runs

    Args:
        root: a folder of runs.
    """

    subcommand: ClassVar[str] = "list"

    _: KW_ONLY
    root: str | None = None

    def run(self) -> list[Entry]:
        """Print a line for each."""
        found = here(Path(self.root) if self.root else None)
        rows: dict[str, dict[str, Value]] = {entry.ref: dict(entry.row()) for entry in found}
        print_table(rows)
        return found


@dataclass
class Show:
    """Show a checkpoint's card: data, patients, licence, recipe, preprocessing, scores beside untrained, limits.

    Examples:
        python -m ssl_ecg.checkpoints show runs/simclr-mitbih

    Args:
        ref: a run's folder, or another reference to a checkpoint.
    """

    subcommand: ClassVar[str] = "show"

    ref: str

    def run(self) -> None:
        """Print it; CheckpointError if there is none."""
        print(card_of(find_checkpoint(self.ref), self.ref))


@dataclass
class Pull:
    """Fetch a checkpoint into the cache, check it, and say where it is; from then on it is used without a network.

    Examples:
        python -m ssl_ecg.checkpoints pull hf://ORG/NAME@v1
        python -m ssl_ecg.checkpoints pull "https://ADDRESS/run.zip#sha256=DIGEST" --out my/encoder

    Args:
        ref: a reference to a checkpoint.
        out: a folder to put a copy into.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
    """

    subcommand: ClassVar[str] = "pull"

    ref: str
    _: KW_ONLY
    out: str | None = None
    trust: bool = False

    def run(self) -> Path:
        """Fetch it, and give its folder; CheckpointError if it cannot be had or is not what was saved."""
        place = find_checkpoint(self.ref)
        load_encoder(place, self.trust)
        if self.out is not None:
            copy = Path(self.out).expanduser()
            if copy.exists():
                raise UserError(f"{copy} is there already: give another --out, or remove it")
            shutil.copytree(place, copy, ignore=lambda _, names: [name for name in names if name not in FILES])
            place = copy
        print(place)
        return place


@dataclass
class Push:
    """Upload a checkpoint to the Hugging Face Hub or to Weights & Biases; its card says how to load it from there.

    Examples:
        python -m ssl_ecg.checkpoints push runs/simclr-mitbih hf://ORG/NAME
        python -m ssl_ecg.checkpoints push runs/simclr-mitbih wandb://ENTITY/PROJECT/NAME

    Args:
        ref: a run's folder, or another reference to a checkpoint.
        to: hf://ORG/NAME[@BRANCH] or wandb://ENTITY/PROJECT/NAME.
        private: make a new repository of the Hub private.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
    """

    subcommand: ClassVar[str] = "push"

    ref: str
    to: str
    _: KW_ONLY
    private: bool = False
    trust: bool = False

    def run(self) -> str:
        """Check it, upload it, and say where it is; CheckpointError if it is damaged or refused."""
        scheme = scheme_of(self.to)
        if scheme not in ("hf", "wandb"):
            raise UserError(f"push to hf://ORG/NAME or wandb://ENTITY/PROJECT/NAME, not to {self.to}")
        (hub.parse if scheme == "hf" else artifact.parse)(self.to)
        place = find_checkpoint(self.ref)
        load_encoder(place, self.trust)  # what is damaged here is not spread
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for file in (place / name for name in FILES):
                if file.exists():
                    shutil.copy(file, folder)
            if (folder / CARD).exists():
                card = (folder / CARD).read_text().replace('load_encoder("PATH")', f'load_encoder("{self.to}")')
                (folder / CARD).write_text(card)
            where = hub.push(folder, self.to, self.private) if scheme == "hf" else artifact.push(folder, self.to)
        print(f"Pushed to {where}")
        return where


@dataclass
class Verify:
    """Check a checkpoint: hashes of its files, its class, and the embedding that was stored with it.

    Examples:
        python -m ssl_ecg.checkpoints verify runs/simclr-mitbih

    Args:
        ref: a run's folder, or another reference to a checkpoint.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
    """

    subcommand: ClassVar[str] = "verify"

    ref: str
    _: KW_ONLY
    trust: bool = False

    def run(self) -> None:
        """Print what was checked; CheckpointError for what does not hold."""
        start = time.perf_counter()
        place = find_checkpoint(self.ref)
        encoder = load_encoder(place, self.trust)
        parameters = sum(p.numel() for p in encoder.encoder.parameters())
        print(f"folder     {place}")
        print(f"weights    SHA-256 {encoder.weights}, as saved")
        print(f"encoder    {type(encoder.encoder).__name__}, {parameters:,} parameters, embeddings of {encoder.dim}")
        print(f"embedding  off by {golden_error(encoder, place):.1e} of the stored one, at most {TOLERANCE:g}")
        print(f"Checked in {time.perf_counter() - start:.1f} s: the encoder that was saved.")


@dataclass
class ExportRun:
    """Pack a run into one zip archive: checkpoint, settings, metrics, results and figures, but no training state.

    The same run gives the same archive, byte for byte. Put it at any address; the reference that is printed loads it.

    Examples:
        python -m ssl_ecg.checkpoints export-run runs/simclr-mitbih

    Args:
        run_folder: the run's folder.
        out: the archive; RUN.zip here by default.
    """

    subcommand: ClassVar[str] = "export-run"

    run_folder: str
    _: KW_ONLY
    out: str | None = None

    def run(self) -> Path:
        """Write it, whole or not at all; CheckpointError if the run holds no checkpoint."""
        folder = Path(self.run_folder).expanduser()
        path = Path(self.out).expanduser() if self.out else Path(f"{folder.resolve().name}.zip")
        digest = export_run(folder, path)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        print(f"Wherever you put it, it loads by https://ADDRESS/{path.name}#sha256={digest}")
        return path


@dataclass
class Join:
    """Make one checkpoint of several encoders, whose embeddings stand side by side.

    They must see the same signal: the same rate, filter, window, normalisation and leads. Whoever one of them has seen,
    the joined one has.

    Examples:
        python -m ssl_ecg.checkpoints join ecg1-v1,ecg1-tiny-v1 runs/ecg1-pair

    Args:
        refs: references to checkpoints, with commas between them.
        out: gets the checkpoint.
        trust: whether a checkpoint may import an encoder of your own, from outside ssl_ecg.
    """

    subcommand: ClassVar[str] = "join"

    refs: tuple[str, ...]
    out: str
    _: KW_ONLY
    trust: bool = False

    def run(self) -> Path:
        """Write it, whole or not at all, and say where it is."""
        folder = Path(self.out).expanduser()
        if folder.exists():
            raise UserError(f"{folder} is there already: give another place, or remove it")
        print(join(self.refs, folder, self.trust))
        return folder


_COMMANDS: dict[str, Callable[..., Any]] = {c.subcommand: c for c in (List, Show, Pull, Push, Verify, Join, ExportRun)}

_USAGE = """\
usage: python -m ssl_ecg.checkpoints COMMAND ...

  list                what is on this machine
  show REF            its card: data, licence, recipe, preprocessing, scores, limits
  pull REF            fetch it into the cache, and check it
  push REF TO         upload it to the Hugging Face Hub or to Weights & Biases
  verify REF          check hashes, class and the stored embedding
  join REF,REF OUT    make one of several encoders, their embeddings side by side
  export-run RUN      pack a run into one archive
  compare REF REF     which one to choose: a table of checkpoints and data sets

REF is a run's folder, the name of an encoder that ssl_ecg ships, hf://ORG/NAME[@REVISION],
wandb://ENTITY/PROJECT/ARTIFACT:VERSION, or https://ADDRESS#sha256=DIGEST. COMMAND --help says more."""


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--help", "-h"):
        print(_USAGE)
    elif name == "compare":
        from ssl_ecg.checkpoints.compare import main as compare

        compare(rest)
    elif name in _COMMANDS:
        cli.run(_COMMANDS[name], rest)
    else:
        with cli.reporting_errors():
            raise cli.UsageError(f"there is no command {name}: it is one of {', '.join([*_COMMANDS, 'compare'])}")

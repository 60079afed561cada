"""`python -m ssl_ecg.monitor`: what a long recording holds, beat by beat."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import torch

from ssl_ecg import cli
from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.checkpoint.heads import with_head
from ssl_ecg.data.progress import bar
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable
from ssl_ecg.monitor.episodes import Limits
from ssl_ecg.monitor.outputs import safe
from ssl_ecg.monitor.watch import Settings, watch
from ssl_ecg.report.tables import print_table
from ssl_ecg.study.head import load_head
from ssl_ecg.waves import load_head as load_wave_head
from ssl_ecg.waves.features import check_one_lead

KIND = "beats"
"""What a head that knows beats is called beside its encoder."""


@dataclass
class Done:
    """What became of the tapes: the summary of each that was read, by its record, and why others were not."""

    folder: Path
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    took: float = 0.0

    def show(self) -> None:
        """Print a line a tape, and what is odd."""
        rows = {name: _row(summary) for name, summary in self.read.items()}
        if rows:
            print_table(rows, title=f"Written to {self.folder}, a folder a record")
        for name, summary in self.read.items():
            for note in summary["notes"]:
                print(f"{name}: {note}")
        for name, why in self.refused.items():
            print(f"{name}: not read: {why}")
        if self.took:
            speed = self.seconds / self.took
            print(f"{self.seconds / 3600:.2f} h in {self.took:.1f} s: {speed:,.0f} times faster than real time")
            print(f"{time.process_time():.1f} s of processor time, start included{_memory()}")


_M_MMAP_THRESHOLD = -3  # of GNU's malloc.h; other C libraries have no mallopt, or ignore it


def _keep_no_memory() -> None:
    """Have the C library give arrays of 4 MB and more back once they are freed; else it learns to keep them.

    Smaller ones too cost a fifth of the processor's time.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, 2**22)


def _memory() -> str:
    """How much memory was used at most, where the system tells; Windows has no `resource`."""
    try:
        import resource
    except ImportError:
        return ""
    unit = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux kB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / unit
    return f"; {peak:,.0f} MB of memory at most, libraries included"


def _row(summary: dict[str, Any]) -> dict[str, str]:
    return {
        "hours": f"{summary['seconds'] / 3600:.2f}",
        "beats": f"{summary['beats']:,}",
        "rate": f"{summary['rate']}",
        **{name: f"{count:,}" for name, count in summary["classes"].items()},
        "episodes": f"{sum(summary['episodes'].values())}",
        "readable": f"{summary['readable']:.0%}",
    }


@dataclass
class Monitor:
    """Read long recordings, such as Holter tapes of a day: beats, classes, anomalies, episodes, signal quality.

    Every record gets a folder: `beats.parquet` with a row a beat, `episodes.csv`, a WFDB annotation file (`.beats`),
    `report.html`, the day on a page, `summary.json`, and, with a head that finds waves, `intervals.parquet`. Tapes are
    read in pieces of ten minutes, and some 14 MB a day are kept; a run that was stopped goes on with the same command.
    What cannot be used is named, the others go on, and the command ends with 1.

    The head is a probe of beats in their recording: one that ships with the encoder, or that was kept by
    `python -m ssl_ecg.probe REF --data MITBIH --windows stretches --save_head FOLDER`. No medical device: what it
    finds, somebody has to look at.

    Examples:
        python -m ssl_ecg.monitor tape.hea --out day
        python -m ssl_ecg.monitor wear.csv --fs 250 --out wear
        python -m ssl_ecg.monitor ward/1.edf ward/2.ecg --encoder runs/cinc2017-joint --head runs/beats --out ward

    Args:
        records: files of recordings: WFDB (the header, or without suffix), EDF, ISHNE, CSV, NumPy.
        encoder: a run's folder, or another reference to a checkpoint.
        head: the folder of a head for it; that which ships with it by default.
        waves: the folder of a head that finds P, QRS and T, for QRS and QTc over the day; that which ships with the
            encoder by default.
        out: folder of the results.
        lead: which lead is read by a head of one lead; that which it was fitted on, or the first, by default.
        brady: heart rate below which it is slow, beats a minute.
        tachy: above which it is fast.
        pause: interval above which it is a pause, s.
        fs: sampling rate of files that do not say it, Hz.
        leads: names of the leads of files that do not say them.
        unit: of files that do not say it: mV, uV or V.
        threads: of torch, for each of the two pieces that are read at a time.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
    """

    question: ClassVar[str] = "monitor"

    records: list[str]
    _: KW_ONLY
    out: str
    encoder: str = "ecg1-v1"
    head: str | None = None
    waves: str | None = None
    lead: str | None = None
    brady: float = 50.0
    tachy: float = 120.0
    pause: float = 2.0
    fs: float | None = None
    leads: tuple[str, ...] | None = None
    unit: str | None = None
    threads: int = 1
    trust: bool = False

    def run(self) -> Done:
        """Read all tapes, write and print; UserError for an encoder, head, settings or folder that cannot be used."""
        if not 0 < self.brady < self.tachy or self.pause <= 0 or self.threads < 1:
            raise UserError("brady, tachy, pause and threads must be above 0, and brady below tachy")
        encoder = load_encoder(self.encoder, self.trust)
        place = self.head or shipped_head(encoder.weights, KIND)
        fit = f"python -m ssl_ecg.probe {self.encoder} --data MITBIH --windows stretches --save_head FOLDER"
        if place is None:
            known = " and ".join(with_head(KIND)) or "no encoder"
            raise UserError(
                f"a --head that knows beats is needed: {known} has one with it, and for this one {fit} does"
            )
        head = load_head(place, encoder.weights)
        if head.windows == "cut":
            raise UserError(f"the head in {place} reads windows cut around beats: fit one with {fit}")
        wanted = encoder.preprocessing.leads
        if not encoder.preprocessing.any_leads and len(wanted) != len(head.leads):
            raise UserError(
                f"the head in {place} reads {', '.join(head.leads)}, and {self.encoder} {', '.join(wanted)}: fit one "
                f"with {fit}"
            )
        waves = self.waves or shipped_head(encoder.weights, "waves")
        if waves is not None:
            check_one_lead(encoder)
        wave_head, about = load_wave_head(waves, encoder.weights) if waves is not None else (None, {})
        torch.set_num_threads(self.threads)
        _keep_no_memory()
        done, names = Done(Path(self.out).expanduser()), _names(self.records)
        ensure_writable(done.folder)
        limits = Limits(self.brady, self.tachy, self.pause)
        settings = Settings(limits, self.fs, self.leads, self.unit, self.lead, about.get("sha256"))
        for path, name in names.items():
            try:
                with ExitStack() as stack:

                    def show(pieces: int, name: str = name, stack: ExitStack = stack) -> Callable[[int], None]:
                        return stack.enter_context(bar(name, pieces))

                    watched = watch(path, encoder, head, done.folder / name, settings, show, wave_head)
            except Exception as error:  # noqa: BLE001  (one tape must not end the batch, whatever is wrong with it)
                said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                done.refused[path] = " ".join(said.split())
                continue
            done.read[name] = watched.summary
            done.took += watched.took
            done.seconds += watched.summary["seconds"] if watched.took else 0
        done.show()
        return done


def _names(records: list[str]) -> dict[str, str]:
    """The folder of each record: its name, numbered where several are called so."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(records):
        file = Path(path)
        stem = safe(
            file.stem if file.suffix in (".hea", ".edf", ".ecg", ".ishne", ".csv", ".npy", ".npz") else file.name
        )
        number = sum(name == stem or name.startswith(f"{stem}-") for name in found.values())
        found[path] = f"{stem}-{number + 1}" if number else stem
    return found


def main(argv: list[str] | None = None) -> None:
    """The command line; ends with 1 if a record could not be used."""
    given = sys.argv[1:] if argv is None else argv
    records = list(takewhile(lambda word: not word.startswith("-"), given))
    done = cli.run(Monitor, [",".join(records), *given[len(records) :]] if records else given)
    if isinstance(done, Done) and done.refused:
        raise SystemExit(1)

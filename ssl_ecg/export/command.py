"""`python -m ssl_ecg.export`: an encoder as a folder that a device runs, without torch."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from safetensors.numpy import load_file

from ssl_ecg import cli
from ssl_ecg.checkpoint import PretrainedEncoder, find_checkpoint, load_encoder, shipped_head
from ssl_ecg.checkpoint.references import results_folder
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.export import runtime
from ssl_ecg.export.attempts import quantised
from ssl_ecg.export.card import write_card
from ssl_ecg.export.executorch import write_program
from ssl_ecg.export.graph import Head, set_metadata, write_graph
from ssl_ecg.export.sides import Sides
from ssl_ecg.export.timing import Timing, measure
from ssl_ecg.files import ensure_writable, write_text
from ssl_ecg.report.tables import Value, print_table
from ssl_ecg.study import open_study
from ssl_ecg.waves import Head as WaveHead
from ssl_ecg.waves import load_head as load_wave_head

CARD, REJECTED = "README.md", ".rejected"
_EQUAL = 1e-4  # what runtime.py may differ from `load_encoder` by, of the largest value


@dataclass
class Export:
    """Export an encoder as a folder that a device runs: with NumPy and ONNX Runtime, no torch, no ssl_ecg.

    The folder holds `model.onnx` (with its preprocessing and hashes as metadata), `runtime.py` (a raw recording at any
    rate in, the embedding of `load_encoder` out), `golden.npz` to check both, and a card. The fp32 file is compared
    with torch before it is kept.

    `--format onnx-int8` quantises it, calibrated on train patients of `--data`, and compares with fp32 on other train
    patients: median cosine, the nearest neighbour, and the decisions and AUROC of a linear probe. Several ways are
    tried in order, the last a fine-tuning; if none passes, the file is named `model.onnx.rejected` and the command ends
    with exit status 1. `--format executorch` writes `model.pte`, in fp32, for PyTorch's runtime on phones.

    Examples:
        python -m ssl_ecg.export runs/simclr-mitbih
        python -m ssl_ecg.export runs/simclr-mitbih --data MITBIH --data.root data/mitdb --head true
        python -m ssl_ecg.export runs/simclr-mitbih --format onnx-int8 --data MITBIH --data.root data/mitdb

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
        format: onnx, in fp32; onnx-int8; or executorch, in fp32.
        data: a labelled data set: to calibrate on, and to fit a linear probe on.
        head: put that probe into the graph, as a second output: the device gives classes.
        waves: put a head that finds P, QRS and T into it, as an output of how likely each phase of a heartbeat is at
            each sample: its folder, or "shipped" for the one that comes with the encoder.
        accept: keep a quantised file that the gate rejects.
        calibration: windows to calibrate on.
        fine_tuning: steps of the fine-tuning that is the last way tried; 0, or `waves`, leaves it out.
        limit: windows to fit the probe on, and to compare on, at most.
        benchmark: print size, time of a window on one thread (median and p99 of 1,000 runs) and memory.
        seed: of the draw of windows.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: the folder; export-FORMAT beside the checkpoint by default.
    """

    checkpoint: str
    _: KW_ONLY
    format: Literal["onnx", "onnx-int8", "executorch"] = "onnx"
    data: Source | None = None
    head: bool = False
    waves: str | None = None
    accept: bool = False
    calibration: int = 256
    fine_tuning: int = 400
    limit: int = 4000
    benchmark: bool = False
    seed: int = 0
    trust: bool = False
    cache: str | None = None
    out: str | None = None

    question: ClassVar[str] = "export"

    def run(self) -> Path:
        """Export, check and show; UserError for settings, data or an encoder that cannot be used."""
        self._check()
        folder = Path(self.out).expanduser() if self.out else results_folder(self.checkpoint) / f"export-{self.format}"
        ensure_writable(folder)
        place = find_checkpoint(self.checkpoint)
        sides = self._sides(place) if self.data is not None else None
        pretrained = sides.study.encoder if sides else load_encoder(place, self.trust)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            made = Path(temporary) / "export"
            made.mkdir()
            fp32 = Path(temporary) / "fp32.onnx"
            model = made / (runtime.PROGRAM if self.format == "executorch" else runtime.MODEL)
            probe = sides.probe(pretrained, fp32) if sides else None
            classes = self.data.classes if self.data is not None else ()
            head = Head.of(probe, classes) if probe is not None and self.head else None
            about = write_graph(pretrained, fp32, head, self._waves(pretrained))
            passed = True
            if self.format == "executorch":
                about |= {"off_torch": write_program(pretrained, model, head), "any_length": False}
                write_text(made / runtime.ABOUT, json.dumps(about))
            elif self.format == "onnx":
                shutil.copy(fp32, model)
                set_metadata(model, about)
            else:
                assert sides is not None and probe is not None
                steps = 0 if self.waves else self.fine_tuning  # which keeps embeddings, not what finds waves
                about |= quantised(sides, probe, head, fp32, model, self.calibration, steps, self.seed)
                passed = not about["gate"]["failures"]
                set_metadata(model, about)
            shutil.copy(runtime.__file__, made / "runtime.py")
            about["off_load_encoder"] = _write_golden(pretrained, place, made)
            if self.format != "onnx-int8" and not about["off_load_encoder"] <= _EQUAL:
                raise UserError(f"runtime.py is off by {about['off_load_encoder']:.1e} of what load_encoder gives")
            timings = self._timed(pretrained, {"fp32": fp32} | ({"int8": model} if self.format == "onnx-int8" else {}))
            about |= {"benchmark": {name: asdict(timing) for name, timing in timings.items()}} if timings else {}
            write_text(made / CARD, write_card(about, model.stat().st_size / 1000, self.format == "executorch"))
            write_text(made / runtime.ABOUT, json.dumps(about, indent=1) + "\n")
            kept = passed or self.accept
            if not kept:
                model.rename(model.with_name(model.name + REJECTED))
            _take_place(made, folder)
        _show(about, timings)
        if not kept:
            print(
                f"Rejected by the gate: {folder / (runtime.MODEL + REJECTED)}; --accept true keeps it", file=sys.stderr
            )
            raise SystemExit(1)
        print(f"Exported to {folder}")
        return folder

    def _check(self) -> None:
        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"export needs {' and '.join(missing)}: pip install 'ssl-ecg[export]'")
        if self.format == "executorch" and importlib.util.find_spec("executorch") is None:
            raise UserError("--format executorch needs executorch: pip install 'ssl-ecg[executorch]'")
        if self.format == "executorch" and (self.benchmark or self.waves):
            raise UserError("--benchmark and --waves are for ONNX files: leave them out with --format executorch")
        if self.data is None and self.format == "onnx-int8":
            raise UserError("onnx-int8 needs --data: labelled recordings to calibrate on and to compare with fp32 on")
        if self.data is None and self.head:
            raise UserError("--head needs --data: labelled recordings to fit it on")
        if self.calibration < 1 or self.limit < 1 or self.fine_tuning < 0:
            raise UserError("calibration and limit must be at least 1 window, fine_tuning at least 0 steps")

    def _waves(self, pretrained: PretrainedEncoder) -> WaveHead | None:
        if self.waves is None:
            return None
        place = shipped_head(pretrained.weights, "waves") if self.waves == "shipped" else Path(self.waves)
        if place is None:
            raise UserError(f"no head that finds waves ships with {self.checkpoint}: give the folder of one")
        return load_wave_head(place, pretrained.weights)[0]

    def _sides(self, place: Path) -> Sides:
        assert self.data is not None
        study = open_study(place, self.data, self.cache, self.trust)
        return Sides.of(study, self.limit, self.seed)

    def _timed(self, pretrained: PretrainedEncoder, files: dict[str, Path]) -> dict[str, Timing]:
        if not self.benchmark:
            return {}
        samples = pretrained.preprocessing.samples
        return {name: measure(path, pretrained.channels, samples) for name, path in files.items()}


def _write_golden(pretrained: PretrainedEncoder, place: Path, folder: Path) -> float:
    """Write a raw signal and its embedding by `runtime.py`; says how far off `load_encoder`'s is.

    The signal is the checkpoint's own, nobody's ECG, twice and at another rate, so that all of runtime.py is checked.
    """
    stored = load_file(place / "golden.safetensors")["signal"]
    leads = json.loads((place / "config.json").read_text())["golden"]["leads"]
    signal, fs = np.tile(stored, (1, 2)), 1.25 * pretrained.preprocessing.fs
    wanted = np.asarray(pretrained.cpu()(signal, fs, leads))
    found = runtime.ExportedEncoder(folder)(signal, fs, leads)
    np.savez_compressed(folder / runtime.GOLDEN, signal=signal, fs=fs, leads=leads, embedding=found)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _take_place(made: Path, folder: Path) -> None:
    """Move a finished export into its folder, in place of an older one's files."""
    for name in (
        runtime.MODEL,
        runtime.MODEL + REJECTED,
        runtime.PROGRAM,
        "runtime.py",
        runtime.GOLDEN,
        CARD,
        runtime.ABOUT,
    ):
        (folder / name).unlink(missing_ok=True)
    for file in made.iterdir():
        shutil.move(file, folder / file.name)


def _show(about: dict[str, Any], timings: dict[str, Timing]) -> None:
    print(f"fp32 graph: off by {about['off_torch']:.1e} of torch; any length: {'yes' if about['any_length'] else 'no'}")
    print(f"runtime.py: off by {about['off_load_encoder']:.1e} of load_encoder, on the golden recording")
    if gate := about.get("gate"):
        rows: dict[str, dict[str, Value]] = {
            name: {
                "cosine": found["cosine"],
                "1%": found["cosine_low"],
                "same neighbour": found["nearest"],
                "same class": found["argmax"],
                "AUROC": found["auroc"],
                "fp32": found["auroc_fp32"],
                "gate": "failed" if found["failures"] else "passed",
            }
            for name, found in {**gate["also_tried"], gate["recipe"]: gate}.items()
        }
        compared = f"{gate['windows']:,} {gate['of']} of {gate['patients']:,} train patients of {gate['data']}"
        print_table(rows, title=f"int8 beside fp32, {compared}")
        print(f"{gate['share']:.0%} of the weights in 8 bits")
    if timings:
        columns = ("kB", "median, ms", "p99, ms", "peak, MB", "model, MB")
        taken = {name: dict(zip(columns, asdict(t).values(), strict=True)) for name, t in timings.items()}
        print_table(taken, title="one window, one thread")


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Export, argv)

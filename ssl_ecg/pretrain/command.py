"""`python -m ssl_ecg.pretrain`: pretrain an encoder on unlabelled ECG."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssl_ecg import cli
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import Positives
from ssl_ecg.data.sources import Source
from ssl_ecg.data.sources.mixture import parts
from ssl_ecg.data.windows import Windows, report_left_out
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.leads import ANY
from ssl_ecg.methods import Method
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.pretrain.report import announce, finish, show
from ssl_ecg.training.pieces import check_pieces
from ssl_ecg.training.processes import first_process, heard_once, trained_by_one
from ssl_ecg.training.run import Run, has_trained, run_folder
from ssl_ecg.training.settings import TrainerSettings

# The command's defaults are a recipe like any other: simulated ECG, a small encoder, minutes on a laptop.
DEFAULTS = Path(__file__).parent / "defaults.yaml"


@dataclass(kw_only=True)
class Pretrain:
    """Pretrain an encoder on unlabelled ECG, and score its frozen embeddings on held-out patients.

    The run lives in the folder OUT/NAME. The same command goes on with a stopped run, unless the data are no longer
    those it was started on, and does nothing with a finished one.

    Examples:
        python -m ssl_ecg.pretrain
        python -m ssl_ecg.pretrain --method BYOL --method.encoder.width 32 --name byol-32
        python -m ssl_ecg.pretrain --positives SamePatient
        python -m ssl_ecg.pretrain --data PTBXL,MITBIH --data.PTBXL.root data/ptb-xl --preprocessing.leads any
        python -m ssl_ecg.pretrain --config experiments/recipes/simclr_mitbih.yaml --data.root data/mitdb

    Args:
        data: the data set, or several (A,B,C); the train split is used, without labels.
        preprocessing: how a raw recording becomes what the encoder sees.
        windows: how recordings are cut for pretraining.
        probe_windows: how they are cut for the online probe; these carry the labels.
        method: the self-supervised method, with its encoder, views and optimiser.
        trainer: how long to train, on what, how precisely.
        positives: what a window's two views are made of: the window alone, or it and a window like it.
        batch_size: windows per step and process.
        patients_per_batch: patients in a batch, an equal number of windows each; 0 mixes all. Needed for
            SimCLR's negatives of the same patient.
        hold_out: share of the train patients kept out for the online probe, where the data set has no
            validation split; 0 for none.
        probe_every: epochs from one online probe to the next; on small data it takes as long as the epoch. The last
            epoch is always probed.
        seed: of everything random: weights, batches, augmentations, hold-out.
        name: of the run; METHOD-DATA by default, such as simclr-mitbih.
        out: folder of all runs.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        wandb: log to Weights & Biases too; "offline" needs no account and can be synced later.
        config: all settings as plain values, kept in the run's folder and compared on resume.
        defaults: what those are by default, for runs begun before a setting was there.
    """

    data: Source
    preprocessing: Preprocessing
    windows: Windows
    probe_windows: Windows
    method: Method
    trainer: TrainerSettings
    positives: Positives
    batch_size: int = 256
    patients_per_batch: int = 0
    hold_out: float = 0.2
    probe_every: int = 1
    seed: int = 0
    name: str | None = None
    out: str = "runs"
    cache: str | None = None
    wandb: Literal["off", "offline", "online"] = "off"
    config: dict[str, Any] | None = None
    defaults: dict[str, Any] | None = None

    def run(self) -> Run:
        """Pretrain, or go on, and write checkpoint, metrics, results and figure into the run's folder.

        UserError, before any training, for settings, data or a folder that cannot be used.
        """
        # Lightning takes seconds to import: not for --help, nor before what is refused.
        from ssl_ecg.training.collapse import CollapseMonitor
        from ssl_ecg.training.fit import train
        from ssl_ecg.training.log import Heartbeat
        from ssl_ecg.training.online_probe import OnlineProbe
        from ssl_ecg.training.wandb import wandb_logger

        method, preprocessing, config = self.method, self.preprocessing, self.config or {}
        self._check()
        ensure_writable(Path(self.out))
        sources = parts(self.data)
        names = [type(source).__name__ for source in sources]
        folder = run_folder(self.out, self.name or "-".join([type(method).__name__, *names]).lower())
        if has_trained(folder):  # with the same settings?
            run = Run(folder, config, defaults=self.defaults)
            if run.finished:
                print(f"{run.folder} is finished: nothing to train.", file=sys.stderr)
                show(run)
                return run
        stores = []
        for source, name in zip(sources, names, strict=True):
            stores.append(build(source, preprocessing, self.cache, progress=f"preparing {name}"))
            report_left_out(stores[-1], preprocessing.samples, f"{name}: " if len(sources) > 1 else "")
        module = ECGDataModule(
            stores,
            preprocessing,
            self.windows,
            self.probe_windows,
            self.batch_size,
            self.patients_per_batch,
            self.hold_out,
            self.seed,
            self.positives,
            getattr(self.data, "weights", None),
        )
        module.batches(ranks=self.trainer.processes)  # refuses what does not fill one
        # What training begins with, whatever the path of the data.
        content = [(part.store.meta["fingerprint"], part.patients) for part in module.parts]
        data, patients = content[0] if len(content) == 1 else zip(*content, strict=True)
        origin = {"data": fingerprint(data), "patients learned from": fingerprint(patients)}
        with trained_by_one(folder) as sidecar:  # not before: what cannot be trained takes no name
            run = Run(folder, config, origin, self.defaults)
            probe = OnlineProbe(module, multilabel=module.store.multilabel, every=self.probe_every)
            announce(run, module, method)
            untrained = copy.deepcopy(method.encoder)
            watching = [Heartbeat(sidecar), CollapseMonitor(module), probe]
            with wandb_logger(run.folder, self.wandb, config) as logger:
                history = train(method, module, run.folder, self.trainer, logger, watching)
                if first_process():
                    finish(run, module, method, untrained, probe, history, logger)
            if first_process():
                show(run)
        return run

    def _check(self) -> None:
        """Refuse settings that cannot be trained with, whatever the data."""
        # One window alone has nothing to be told from.
        for option, least in (("batch_size", 2), ("patients_per_batch", 0), ("probe_every", 1)):
            if (number := getattr(self, option)) < least:
                raise UserError(f"{option} must be at least {least}, not {number}")
        if not 0 <= self.hold_out < 1:
            raise UserError(f"hold_out must be at least 0 and below 1, not {self.hold_out}")
        if self.method.encoder.amplitudes and self.preprocessing.normalise != "none":
            raise UserError(
                f"method.encoder.amplitudes needs voltages: set preprocessing.normalise to none, not "
                f"{self.preprocessing.normalise}"
            )
        self.trainer.check()
        check_pieces(self.method, self.trainer, self.batch_size)
        self.method.check(len(self.preprocessing.leads), self.preprocessing.samples, self.preprocessing.fs)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors(), heard_once():
        parsed = cli.parse(Pretrain, argv, defaults=DEFAULTS, filled={"method.encoder.in_channels": 1})
        leads = parsed.config["preprocessing"]["leads"]
        parsed.set("method.encoder.in_channels", len(leads), f"preprocessing.leads names {len(leads)} leads")
        if tuple(leads) == ANY:  # each lead alone in training, and as many as there are later
            parsed.set("method.encoder.leads", "apart", "preprocessing.leads is any")

        from pytorch_lightning import seed_everything

        try:
            seed_everything(parsed.config["seed"], verbose=False)
        except ValueError as error:  # out of bounds
            raise UserError(f"seed: {error}") from None
        Pretrain(**parsed.instantiate()).run()

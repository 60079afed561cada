"""`python -m ssl_ecg.pretrain`: pretrain an encoder on unlabelled ECG."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ssl_ecg import cli
from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.cli.help import chosen, command_line
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import Positives
from ssl_ecg.data.sources import Source
from ssl_ecg.data.windows import Windows, report_left_out
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.methods import Method
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.training.collapse import CollapseMonitor
from ssl_ecg.training.fit import train
from ssl_ecg.training.online_probe import OnlineProbe
from ssl_ecg.training.processes import first_process, heard_once, trained_by_one
from ssl_ecg.training.run import Run, has_trained, run_folder
from ssl_ecg.training.settings import TrainerSettings
from ssl_ecg.training.wandb import wandb_logger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger

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
        python -m ssl_ecg.pretrain --config experiments/recipes/simclr_mitbih.yaml --data.root data/mitdb

    Args:
        data: the data set; its train split is used, without labels.
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
        method, preprocessing, config = self.method, self.preprocessing, self.config or {}
        self._check()
        ensure_writable(Path(self.out))
        folder = run_folder(self.out, self.name or f"{type(method).__name__}-{type(self.data).__name__}".lower())
        if has_trained(folder):  # with the same settings?
            run = Run(folder, config, defaults=self.defaults)
            if run.finished:
                print(f"{run.folder} is finished: nothing to train.", file=sys.stderr)
                show(run)
                return run
        store = build(self.data, preprocessing, self.cache, progress=f"preparing {type(self.data).__name__}")
        report_left_out(store, preprocessing.samples)
        module = ECGDataModule(
            store,
            preprocessing,
            self.windows,
            self.probe_windows,
            self.batch_size,
            self.patients_per_batch,
            self.hold_out,
            self.seed,
            self.positives,
        )
        module.batches(ranks=self.trainer.devices)  # refuses what does not fill one
        # What training begins with, whatever the path of the data.
        origin = {"data": fingerprint(store.meta["fingerprint"]), "patients learned from": fingerprint(module.patients)}
        with trained_by_one(folder):  # not before: what cannot be trained takes no name
            run = Run(folder, config, origin, self.defaults)
            probe = OnlineProbe(module, multilabel=store.multilabel, every=self.probe_every)
            _announce(run, module, method)
            untrained = copy.deepcopy(method.encoder)
            logger = wandb_logger(run.folder, self.wandb, config)
            history = train(method, module, run.folder, self.trainer, logger, [CollapseMonitor(module), probe])
            if first_process():
                _finish(run, module, method, untrained, probe, history, logger)
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
        self.trainer.check()
        self.method.check(len(self.preprocessing.leads), self.preprocessing.samples, self.preprocessing.fs)


def _finish(
    run: Run,
    module: ECGDataModule,
    method: Method,
    untrained: Encoder,
    probe: OnlineProbe,
    history: list[dict[str, float]],
    logger: WandbLogger | None,
) -> None:
    """Score the encoder, and write results, figure and checkpoint."""
    from ssl_ecg.report.style import save
    from ssl_ecg.report.training_curves import training_curves

    store, preprocessing = module.store, module.preprocessing
    save(training_curves(history), run.folder / "training.png")
    systems = {"pretrained": method.encoder, "untrained": untrained} if probe.possible else {}
    scores = {system: probe.score(encoder) for system, encoder in systems.items()}
    if logger is not None:
        logger.log_image("training", [str(run.folder / "training.png")])
        logger.log_metrics({f"{s}/{name}": value for s, row in scores.items() for name, value in row.items()})
        logger.experiment.finish()  # or what was logged last may not be on disk when the command ends
    pretraining = {
        "method": type(method).__name__,
        "data": store.source,
        "simulated": store.simulated,
        "epochs": len(history),
        "seed": module.seed,
        "cohort": store.cohort,
        "covers": store.meta["covers"],
        "patients": [patient_hash(store.cohort, patient) for patient in module.patients],
    }
    encoder = method.encoder.cpu()
    run.write_results({"simulated": store.simulated, "held_out": module.held_out, "scores": scores, **history[-1]})
    save_encoder(
        run.checkpoint,
        encoder,
        preprocessing,
        pretraining,
        golden_signal(next(module.train.conditioned(1))[0].cpu().numpy()),
        model_card(pretraining, preprocessing.to_dict(), describe(encoder), scores),
    )


def show(run: Run) -> None:
    """Print the scores of a finished run, where its files are and what to do next."""
    from ssl_ecg.report.tables import origin, print_table

    results = run.results()
    if results["scores"]:
        patients = len(results["held_out"])
        title = f"Frozen embeddings of {patients} held-out patients, {origin(results['simulated'])}"
        print_table(results["scores"], title=title)
    else:
        print("Too few labelled patients were held out to probe the embeddings.")
    own = not json.loads((run.checkpoint / "config.json").read_text())["encoder"]["class"].startswith("ssl_ecg.")
    options = chosen("data", Source, run.config()["data"]) | ({"trust": True} if own else {})
    again = command_line("probe", str(run.folder), **options)
    print(f"run         {run.folder}\ncheckpoint  {run.checkpoint}")
    print(f"figure      {run.folder / 'training.png'}\nnext        {again}")


def _announce(run: Run, module: ECGDataModule, method: Method) -> None:
    """Say what is about to happen."""
    from ssl_ecg.report.tables import origin

    parameters = sum(p.numel() for p in method.encoder.parameters())
    print(
        f"{type(method).__name__} on {module.store.source}, {origin(module.store.simulated)}: "
        f"{len(module.train):,} windows of {len(module.patients)} patients, {len(module.held_out)} patients held out\n"
        f"{type(method.encoder).__name__} with {parameters:,} parameters; run folder {run.folder}"
        + (" (going on where it was stopped)" if run.started else ""),
        file=sys.stderr,
    )
    if module.partners:
        print(f"{module.partners.share:.1%} of the windows have a partner other than themselves", file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors(), heard_once():
        parsed = cli.parse(Pretrain, argv, defaults=DEFAULTS, filled={"method.encoder.in_channels": 1})
        leads = parsed.config["preprocessing"]["leads"]
        parsed.set("method.encoder.in_channels", len(leads), f"preprocessing.leads names {len(leads)} leads")

        from pytorch_lightning import seed_everything

        try:
            seed_everything(parsed.config["seed"], verbose=False)
        except ValueError as error:  # out of bounds
            raise UserError(f"seed: {error}") from None
        Pretrain(**parsed.instantiate()).run()

"""`python -m ssl_ecg.pretrain`: pretrain an encoder on unlabelled ECG."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from ssl_ecg import cli
from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.cli.line import chosen, command_line
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
from ssl_ecg.training.fit import fit
from ssl_ecg.training.online_probe import OnlineProbe
from ssl_ecg.training.processes import first_process, heard_once, trained_by_one
from ssl_ecg.training.run import Run, has_trained, run_folder
from ssl_ecg.training.settings import TrainerSettings

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger

# The command's defaults are a recipe like any other: simulated ECG, a small encoder, minutes on a laptop.
DEFAULTS = Path(__file__).parent / "defaults.yaml"


def pretrain(
    data: Source,
    preprocessing: Preprocessing,
    windows: Windows,
    probe_windows: Windows,
    method: Method,
    trainer: TrainerSettings,
    positives: Positives,
    batch_size: int = 256,
    patients_per_batch: int = 0,
    hold_out: float = 0.2,
    probe_every: int = 1,
    seed: int = 0,
    name: str | None = None,
    out: str = "runs",
    cache: str | None = None,
    wandb: Literal["off", "offline", "online"] = "off",
    config: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
) -> Run:
    """Pretrain an encoder on unlabelled ECG, and say what its frozen embeddings are worth.

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
        config: all settings as plain values, kept in the run's folder and compared on resume; the command line
            gives it, and
        defaults: what those are by default, for runs begun before a setting was there.

    Returns:
        The run's folder, with its checkpoint, metrics, results and figure.

    Raises:
        UserError: for settings, data or a folder that cannot be used; before any training.
    """
    method.fs, method.seed = preprocessing.fs, seed
    _check(method, preprocessing, trainer, batch_size, patients_per_batch, hold_out, probe_every)
    ensure_writable(Path(out))
    folder = run_folder(out, name or f"{type(method).__name__}-{type(data).__name__}".lower())
    if has_trained(folder):  # with the same settings?
        run = Run(folder, config or {}, defaults=defaults)
        if run.finished:
            print(f"{run.folder} is finished: nothing to train.", file=sys.stderr)
            show(run)
            return run
    store = build(data, preprocessing, cache, progress=f"preparing {type(data).__name__}")
    report_left_out(store, preprocessing.samples)
    module = ECGDataModule(
        store, preprocessing, windows, probe_windows, batch_size, patients_per_batch, hold_out, seed, positives
    )
    module.batches(ranks=trainer.devices)  # refuses what does not fill one
    with trained_by_one(folder):  # not before: what cannot be trained takes no name
        run = Run(folder, config or {}, _origin(module), defaults)
        probe = OnlineProbe(module, multilabel=store.multilabel, every=probe_every)
        _announce(run, module, method)
        untrained = copy.deepcopy(method.encoder)
        logger = None
        if wandb != "off":
            from ssl_ecg.training.wandb import wandb_logger

            logger = wandb_logger(run.folder, wandb, config or {})
        history = fit(method, module, run.folder, trainer, logger, probe)
        if first_process():
            _finish(run, module, method, untrained, probe, history, logger)
            show(run)
    return run


def _check(
    method: Method,
    preprocessing: Preprocessing,
    trainer: TrainerSettings,
    batch_size: int,
    patients_per_batch: int,
    hold_out: float,
    probe_every: int,
) -> None:
    """Refuse settings that cannot be trained with, whatever the data."""
    # One window alone has nothing to be told from.
    for option, number, least in (
        ("batch_size", batch_size, 2),
        ("patients_per_batch", patients_per_batch, 0),
        ("probe_every", probe_every, 1),
    ):
        if number < least:
            raise UserError(f"{option} must be at least {least}, not {number}")
    if not 0 <= hold_out < 1:
        raise UserError(f"hold_out must be at least 0 and below 1, not {hold_out}")
    trainer.check()
    method.check(len(preprocessing.leads), preprocessing.samples)


def _finish(
    run: Run,
    module: ECGDataModule,
    method: Method,
    untrained: Encoder,
    probe: OnlineProbe,
    history: list[dict[str, float]],
    logger: WandbLogger | None,
) -> None:
    """Score the encoder, and write what the run is for: results, figure, checkpoint."""
    from ssl_ecg.report.style import save
    from ssl_ecg.report.training_curves import training_curves

    store, preprocessing = module.store, module.preprocessing
    save(training_curves(history), run.folder / "training.png")
    scores = {}
    if probe.possible:
        systems = {"pretrained": method.encoder, "untrained": untrained}
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
    """Print what a finished run is worth, where its files are and what to do next."""
    from ssl_ecg.report.tables import print_table

    results = run.results()
    what = "simulated ECG (no heart was involved)" if results["simulated"] else "real ECG"
    if results["scores"]:
        print_table(
            results["scores"],
            title=f"Frozen embeddings of {len(results['held_out'])} held-out patients, {what}",
        )
    else:
        print("Too few labelled patients were held out to probe the embeddings.")
    print(f"run         {run.folder}")
    print(f"checkpoint  {run.checkpoint}")
    print(f"figure      {run.folder / 'training.png'}")
    again = chosen("data", Source, run.config()["data"])
    print(f"next        {command_line('probe', str(run.folder), **again)}")


def _origin(module: ECGDataModule) -> dict[str, str]:
    """What training begins with, whatever the path of the data."""
    return {
        "data": fingerprint(module.store.meta["fingerprint"]),
        "patients learned from": fingerprint(module.patients),
    }


def _announce(run: Run, module: ECGDataModule, method: Method) -> None:
    """Say what is about to happen."""
    encoder = method.encoder
    parameters = sum(p.numel() for p in encoder.parameters())
    store = module.store
    kind = "simulated ECG (no heart was involved)" if store.simulated else "real ECG"
    print(
        f"{type(method).__name__} on {store.source}, {kind}: {len(module.train):,} windows of "
        f"{len(module.patients)} patients, {len(module.held_out)} patients held out\n"
        f"{type(encoder).__name__} with {parameters:,} parameters; run folder {run.folder}"
        + (" (going on where it was stopped)" if run.started else "")
        + (
            f"\n{module.partners.share:.1%} of the windows have a partner other than themselves"
            if module.partners
            else ""
        ),
        file=sys.stderr,
    )


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors(), heard_once():
        defaults = yaml.safe_load(DEFAULTS.read_text())
        parsed = cli.parse(pretrain, argv, defaults=defaults, filled={"method.encoder.in_channels": 1})
        leads = parsed.config["preprocessing"]["leads"]
        parsed.set("method.encoder.in_channels", len(leads), f"preprocessing.leads names {len(leads)} leads")

        from pytorch_lightning import seed_everything

        try:
            seed_everything(parsed.config["seed"], verbose=False)
        except ValueError as error:  # out of bounds
            raise UserError(f"seed: {error}") from None
        pretrain(**parsed.instantiate())

"""`python -m ssl_ecg.finetune`: train a pretrained encoder on labels, beside what the labels give without it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file

from augmentations import LeadViews, Views
from ssl_ecg import cli
from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.data.sources import Source
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.files import ensure_writable, replacing
from ssl_ecg.finetune.models import Model, frozen_probe, scored_once, tuned
from ssl_ecg.finetune.report import write_finetuning
from ssl_ecg.finetune.training import Classifier
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.optimisers import Optimiser
from ssl_ecg.study import Study, check_few_labels, open_study
from ssl_ecg.study.guard import check_untaught
from ssl_ecg.study.sides import Sides, label_sides
from ssl_ecg.study.systems import untrained
from ssl_ecg.training.processes import first_process, heard_once, trained_by_one
from ssl_ecg.training.run import Run, run_folder
from ssl_ecg.training.settings import TrainerSettings

DEFAULTS = {
    "optimiser": "AdamW",
    "optimiser.lr": 1e-3,
    "optimiser.weight_decay": 0.05,
    "optimiser.warmup": 0.1,
    "trainer.max_epochs": 30,
}


def finetune(
    checkpoint: str,
    data: Source,
    optimiser: Optimiser,
    trainer: TrainerSettings,
    *,
    fraction: float = 1.0,
    layer_decay: float = 0.75,
    scratch_lr: float = 2e-3,
    head: Literal["probe", "fresh"] = "probe",
    views: Views | None = None,
    batch_size: int = 64,
    hold_out: float = 0.2,
    validate: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    name: str | None = None,
    out: str = "runs",
    cache: str | None = None,
    wandb: Literal["off", "offline", "online"] = "off",
    config: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
) -> Run:
    """Fine-tune a whole pretrained encoder on labels, and score it once on the test patients.

    Beside it stand the same fine-tuning with one learning rate for all layers, the same network trained from scratch
    with a learning rate of its own, and the linear probe on the frozen encoder. All learn from the same patients. The
    validation patients choose the epoch of each: those of the data set's validation split or, without one, some train
    patients that are held out, of those the encoder has not seen where there are five. Records with none of the task's
    classes are left out, where a record may belong to several.

    The run lives in the folder OUT/NAME. The same command goes on with a stopped run, and only scores a finished one.
    The fine-tuned encoder is a checkpoint like any other and remembers whose labels it has seen; its linear head is
    `head.safetensors`.

    Examples:
        python -m ssl_ecg.finetune runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --validate
        python -m ssl_ecg.finetune runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --fraction 0.1 --name tenth
        python -m ssl_ecg.finetune runs/simclr-mitbih --data MITBIH --views physiological --trainer.max_epochs 5

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        optimiser: how it is trained; the head has its whole learning rate.
        trainer: how long to train, on what, how precisely.
        fraction: share of the train patients whose labels are learned from; validation patients are not counted.
        layer_decay: of the learning rate from each layer to the one before it; 1 for one rate, without a second row.
        scratch_lr: peak learning rate of the network trained from scratch.
        head: begin with the head of the linear "probe", or with a "fresh" one.
        views: change training windows as the first view is changed, such as physiological; nothing does by default.
        batch_size: windows per step and process.
        hold_out: share of the train patients who choose the epoch, where the data set has no validation split.
        validate: stop at the scores of the validation patients. For choosing settings: the test set is not touched.
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        seed: of everything random: whose labels, batches, augmentations, fresh weights, bootstrap.
        name: of the run; CHECKPOINT-finetuned-DATA by default, such as simclr-ptbxl-finetuned-ptbxl.
        out: folder of all runs.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        wandb: log to Weights & Biases too, a run for each training; "offline" needs no account and can be synced later.
        config: all settings as plain values, kept in the run's folder and compared on resume; the command line gives
            it, and
        defaults: what those are by default, for runs begun before a setting was there.

    Returns:
        The run's folder, with its checkpoint, results and figures.

    Raises:
        UserError: for settings, a checkpoint, data or a folder that cannot be used; before any training.
    """
    _check(trainer, fraction, layer_decay, hold_out, scratch_lr, batch_size, resamples, seed)
    source, place = type(data).__name__, Path(checkpoint)
    stem = place.parent.name if place.name == "checkpoint" else place.name
    ensure_writable(Path(out))
    folder = run_folder(out, name or f"{stem}-finetuned-{source}".lower())
    study = open_study(checkpoint, data, cache)
    if isinstance(views, LeadViews):
        raise UserError(
            "views: LeadViews show one lead at a time, and a window is classified by all of its leads: use Views"
        )
    if views is not None:
        try:
            views.check(study.encoder.preprocessing.fs)
        except ValueError as error:
            raise UserError(f"views: {error}") from None
    if fraction < 1:
        check_few_labels(study)
    sides = label_sides(study, fraction, hold_out, seed)
    if len(sides.learn) < trainer.devices:
        raise UserError(f"trainer.devices is {trainer.devices}, but there are {len(sides.learn)} windows to learn from")
    if validate:
        check_untaught(study.encoder, study.store.cohort, sides.validation, data)
    kind = "simulated ECG (no heart was involved)" if data.simulated else "real ECG"

    def trained(
        system: str, encoder: Encoder, lr: float, decay: float = 1.0, start: LinearProbe | None = None
    ) -> tuple[Model, Classifier]:
        place = folder / system.replace(", ", "-").replace(" ", "-")
        ensure_writable(place)
        logger = None
        if wandb != "off":
            from ssl_ecg.training.wandb import wandb_logger

            logger = wandb_logger(place, wandb, config or {})
        found = tuned(
            system,
            encoder,
            sides,
            place,
            optimiser,
            trainer,
            multilabel=data.multilabel,
            lr=lr,
            layer_decay=decay,
            start=start,
            views=views,
            batch_size=batch_size,
            seed=seed,
            logger=logger,
        )
        if logger is not None:
            logger.experiment.finish()  # or what was logged last may not be on disk when the next begins
        return found

    # Not before: what was refused leaves nothing behind that a corrected command would have to agree with.
    with trained_by_one(folder):
        run = Run(folder, config or {}, _origin(study, sides), defaults)
        print(
            f"{source}, {kind}: learning from {len(sides.learn):,} windows of {len(sides.learners)} patients; "
            f"{len(sides.judges)} validation patients; run folder {run.folder}",
            file=sys.stderr,
        )
        probed, probe = frozen_probe(study, sides)
        pretrained, start = study.encoder.encoder, probe if head == "probe" else None
        best, classifier = trained("fine-tuned", pretrained, optimiser.lr, layer_decay, start)
        models = [best]
        if layer_decay < 1:
            models.append(trained("fine-tuned, one rate", pretrained, optimiser.lr, start=start)[0])
        models += [trained("from scratch", untrained(pretrained, seed), scratch_lr)[0], probed]
        if first_process():
            areas = {m.system: {"macro AUROC": m.validation} for m in models}
            _save(run, study, sides, classifier, areas, trainer.max_epochs)
            shared = [record for records in data.shared_patients.values() for record in records]
            scored, without = ({}, {}) if validate else scored_once(study, models, shared, resamples, seed)
            write_finetuning(
                run.folder,
                models,
                scored,
                without,
                title=f"{checkpoint}: fine-tuned on {source}, {kind}",
                setting=study.setting,
                about={
                    "checkpoint": checkpoint,
                    "simulated": data.simulated,
                    "train_patients": len(sides.learners),
                    "train_samples": len(sides.learn),
                    "validation_patients": len(sides.judges),
                    "excluded": shared if without else [],
                    "config": config,
                },
                test=study.labels(study.test),
                classes=data.classes,
            )
    return run


def _check(
    trainer: TrainerSettings,
    fraction: float,
    layer_decay: float,
    hold_out: float,
    scratch_lr: float,
    batch_size: int,
    resamples: int,
    seed: int,
) -> None:
    """Refuse settings that cannot be trained with, whatever the data."""
    for option, share in (("fraction", fraction), ("layer_decay", layer_decay)):
        if not 0 < share <= 1:
            raise UserError(f"{option} must be above 0 and at most 1, not {share}")
    if not 0 < hold_out < 1:
        raise UserError(f"hold_out must be above 0 and below 1, not {hold_out}: somebody has to choose the epoch")
    for option, number in (("scratch_lr", scratch_lr), ("batch_size", batch_size), ("resamples", resamples)):
        if not 0 < number < math.inf:
            raise UserError(f"{option} must be positive, not {number}")
    if not 0 <= seed < 2**32:  # what random numbers are made of
        raise UserError(f"seed must be at least 0 and below {2**32}, not {seed}")
    trainer.check()


def _origin(study: Study, sides: Sides) -> dict[str, str]:
    """What trainings begin with, whatever the paths of checkpoint and data."""
    return {
        "weights of the checkpoint": study.encoder.weights,
        "data": fingerprint(study.store.meta["fingerprint"]),
        "patients learned from": fingerprint(sides.learners),
        "patients who choose the epoch": fingerprint(sides.judges),
    }


def _save(
    run: Run,
    study: Study,
    sides: Sides,
    classifier: Classifier,
    scores: Mapping[str, Mapping[str, float]],
    epochs: int,
) -> None:
    """Write the fine-tuned encoder as a checkpoint that knows all it has seen, and its head beside it."""
    store, before = study.store, study.encoder.card
    whose = [patient_hash(store.cohort, patient) for patient in (*sides.learners, *sides.judges)]
    finetuning = {"data": store.source, "classes": list(study.data.classes), "epochs": epochs, "patients": whose}
    # A checkpoint that somebody made by hand may not say all of these.
    known: dict[str, Any] = {"method": "unknown", "data": "unknown", "epochs": 0, "seed": 0, "patients": []} | before
    known["simulated"] = known.get("simulated", False) or store.simulated
    encoder = classifier.encoder.cpu()
    preprocessing = study.encoder.preprocessing
    save_encoder(
        run.checkpoint,
        encoder,
        preprocessing,
        known
        | {
            "finetuning": finetuning,
            "covers": sorted({*known.get("covers", []), *store.meta["covers"]}),
            "patients": sorted({*known["patients"], *whose}),
            "taught_by": sorted({*known.get("taught_by", []), *whose}),
            "taught_covers": sorted({*known.get("taught_covers", []), *store.meta["covers"]}),
            "taught_cohorts": sorted({*known.get("taught_cohorts", []), store.cohort}),
        },
        golden_signal(next(sides.learn.conditioned(1))[0].cpu().numpy()),
        model_card(known, preprocessing.to_dict(), describe(encoder), scores, finetuning),
    )
    head = {name: value.detach().cpu().contiguous() for name, value in classifier.head.state_dict().items()}
    with replacing(run.folder / "head.safetensors") as temporary:
        save_file(head, temporary, metadata={"classes": ",".join(study.data.classes)})


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors(), heard_once():
        parsed = cli.parse(finetune, argv, defaults=DEFAULTS)
        finetune(**parsed.instantiate())

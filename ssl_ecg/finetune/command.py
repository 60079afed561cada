"""`python -m ssl_ecg.finetune`: train a pretrained encoder on labels, and compare with training without it."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file

from augmentations import LeadViews, MultiCrop, Views
from ssl_ecg import cli
from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.checkpoint.references import short_name
from ssl_ecg.data.sources import Source
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import LinearProbe
from ssl_ecg.files import ensure_writable, replacing
from ssl_ecg.finetune.report import write_finetuning
from ssl_ecg.finetune.training import Classifier, Model, fine_tune, frozen_probe
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.metrics.scores import best_threshold
from ssl_ecg.optimisers import Optimiser
from ssl_ecg.report.tables import origin
from ssl_ecg.study import Study, check_few_labels, open_study
from ssl_ecg.study.benchmark import Benchmark
from ssl_ecg.study.label_draws import Sides, label_sides
from ssl_ecg.study.recordings import every_window
from ssl_ecg.study.study import check_untaught
from ssl_ecg.study.systems import untrained
from ssl_ecg.training.embedding import pick_device
from ssl_ecg.training.log import Heartbeat
from ssl_ecg.training.processes import first_process, heard_once, trained_by_one
from ssl_ecg.training.run import Run, run_folder
from ssl_ecg.training.settings import TrainerSettings
from ssl_ecg.training.sidecar import Sidecar
from ssl_ecg.training.wandb import wandb_logger

DEFAULTS = {
    "optimiser": "AdamW",
    "optimiser.lr": 1e-3,
    "optimiser.weight_decay": 0.05,
    "optimiser.warmup": 0.1,
    "trainer.max_epochs": 30,
}


@dataclass
class Finetune:
    """Fine-tune a whole pretrained encoder on labels, and score it once on the test patients.

    It is compared with the same fine-tuning at one learning rate for all layers, the same network trained from scratch
    with a learning rate of its own, and the linear probe on the frozen encoder. All learn from the same patients. The
    validation patients choose the epoch of each: those of the data set's validation split or, without one, some train
    patients that are held out, of those outside the pretraining set where there are five. Records with none of the
    task's classes are left out, where a record may belong to several. Recordings longer than a window are learned from
    window by window, and the probabilities of their windows averaged.

    The run lives in the folder OUT/NAME. The same command goes on with a stopped run, and only scores a finished one.
    The fine-tuned encoder is a checkpoint like any other and names the patients it was fine-tuned on; its linear head
    is `head.safetensors`.

    Examples:
        python -m ssl_ecg.finetune runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --validate
        python -m ssl_ecg.finetune runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --fraction 0.1 --name tenth
        python -m ssl_ecg.finetune runs/simclr-mitbih --data MITBIH --views physiological --trainer.max_epochs 5

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
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
        device: where the frozen encoder embeds, such as cpu or cuda; auto takes a GPU if there is one. Training has
            `trainer.accelerator`.
        name: of the run; CHECKPOINT-finetuned-DATA by default, such as simclr-ptbxl-finetuned-ptbxl.
        out: folder of all runs.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
        lead: what an encoder of one lead reads where the data set lacks its own, such as II, or one of any lead alone.
        wandb: log to Weights & Biases too, a run for each training; "offline" needs no account and can be synced later.
        config: all settings as plain values, kept in the run's folder and compared on resume.
        defaults: what those are by default, for runs begun before a setting was there.
    """

    checkpoint: str
    data: Source
    optimiser: Optimiser
    trainer: TrainerSettings
    _: KW_ONLY
    fraction: float = 1.0
    layer_decay: float = 0.75
    scratch_lr: float = 2e-3
    head: Literal["probe", "fresh"] = "probe"
    views: Views | None = None
    batch_size: int = 64
    hold_out: float = 0.2
    validate: bool = False
    resamples: int = 1000
    seed: int = 0
    device: str = "auto"
    name: str | None = None
    out: str = "runs"
    cache: str | None = None
    trust: bool = False
    lead: str | None = None
    wandb: Literal["off", "offline", "online"] = "off"
    config: dict[str, Any] | None = None
    defaults: dict[str, Any] | None = None

    def run(self) -> Run:
        """Train, or go on, and write checkpoint, results and figures into the run's folder.

        UserError, before any training, for settings, a checkpoint, data or a folder that cannot be used.
        """
        self._check()
        data, stem, device = self.data, short_name(self.checkpoint), pick_device(self.device)
        ensure_writable(Path(self.out))
        folder = run_folder(self.out, self.name or f"{stem}-finetuned-{type(data).__name__}".lower())
        study = open_study(self.checkpoint, data, self.cache, self.trust, self.lead)
        self._check_views(study.encoder.preprocessing.fs)
        if self.fraction < 1:
            check_few_labels(study)
        sides = label_sides(study, self.fraction, self.hold_out, self.seed)
        if len(sides.learn) < self.trainer.processes:
            raise UserError(
                f"trainer.devices is {self.trainer.devices}, but there are {len(sides.learn)} windows to learn from"
            )
        if self.validate:
            check_untaught(study.encoder, study.store.cohort, sides.validation, data)
        # Not before: what was refused leaves nothing behind that a corrected command would have to agree with.
        with trained_by_one(folder) as sidecar:
            run = Run(folder, self.config or {}, _origin(study, sides), self.defaults)
            print(
                f"{type(data).__name__}, {origin(data.simulated)}: learning from {len(sides.learn):,} windows of "
                f"{len(sides.learners)} patients; {len(sides.judges)} validation patients; run folder {run.folder}",
                file=sys.stderr,
            )
            probed, probe = frozen_probe(study, sides, device)
            pretrained, start = study.encoder.encoder, probe if self.head == "probe" else None
            lr = self.optimiser.lr
            best, classifier = self._trained(sidecar, "fine-tuned", pretrained, sides, lr, self.layer_decay, start)
            models = [best]
            if self.layer_decay < 1:
                models.append(self._trained(sidecar, "fine-tuned, one rate", pretrained, sides, lr, 1, start)[0])
            scratch = untrained(pretrained, self.seed)
            models += [self._trained(sidecar, "from scratch", scratch, sides, self.scratch_lr)[0], probed]
            if first_process():
                areas = {m.system: {"macro AUROC": m.validation} for m in models}
                _save(run, study, sides, classifier, areas, self.trainer.max_epochs)
                self._report(run, study, sides, models)
        return run

    def _trained(
        self,
        sidecar: Sidecar,
        system: str,
        encoder: Encoder,
        sides: Sides,
        lr: float,
        layer_decay: float = 1.0,
        start: LinearProbe | None = None,
    ) -> tuple[Model, Classifier]:
        """Train a copy of an encoder with a linear head, that of a probe or a fresh one, or go on with it."""
        place = sidecar.folder / system.replace(", ", "-").replace(" ", "-")
        ensure_writable(place)
        print(f"{system}:", file=sys.stderr, flush=True)
        multilabel = self.data.multilabel
        learn, _ = every_window(sides.learn, overlap=0)
        optimiser = copy.copy(self.optimiser)
        optimiser.lr = lr
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            classifier = Classifier(
                copy.deepcopy(encoder),
                learn.targets,
                multilabel=multilabel,
                optimiser=optimiser,
                layer_decay=layer_decay,
                views=self.views,
            )
        if start is not None:
            classifier.start_head(start)
        with wandb_logger(place, self.wandb, self.config or {}) as logger:
            history, best = fine_tune(
                *(classifier, learn, sides.validation, place, self.trainer, self.batch_size, self.seed, logger),
                watching=[Heartbeat(sidecar)],
            )
        targets = sides.learn.targets
        decision = targets.mean(axis=0)
        if multilabel:
            p = classifier.probabilities(sides.validation)
            found = [best_threshold(*of) for of in zip(sides.validation.targets.T, p.T, strict=True)]
            # A class that nobody had in training is never predicted, whoever has it in the validation split.
            decision = np.where(targets.any(axis=0), found, np.inf)
        settings = {"lr": lr, "layer_decay": layer_decay}
        area = history[best]["val_auroc"]
        return Model(system, area, classifier.probabilities, decision, best + 1, history, settings), classifier

    def _report(self, run: Run, study: Study, sides: Sides, models: list[Model]) -> None:
        """Score the models on the test patients, unless that is to be left, and write it all down."""
        data = self.data
        shared = [record for records in data.shared_patients.values() for record in records]
        test, scored = study.labels(study.test), []
        if not self.validate:
            rest = {f"without {', '.join(shared)}": shared}
            how: dict[str, Any] = {"subsets": rest, "resamples": self.resamples, "seed": self.seed}
            benchmark = Benchmark(study.labels(study.train), test, data.classes, **how)
            scored = [benchmark.scored(m.system, m.probabilities(study.test), m.decision) for m in models]
        write_finetuning(
            run.folder,
            models,
            scored,
            where={"data": type(data).__name__, "task": str(getattr(data, "labels", "")), "fraction": self.fraction},
            about={
                "title": f"{self.checkpoint}: fine-tuned on {type(data).__name__}, {origin(data.simulated)}",
                "checkpoint": self.checkpoint,
                "setting": study.setting,
                "simulated": data.simulated,
                "train_patients": len(sides.learners),
                "train_samples": len(sides.learn),
                "validation_patients": len(sides.judges),
                "excluded": shared if scored and scored[0].subsets else [],
                "config": self.config,
            },
            test=test,
            classes=data.classes,
            wandb=self.wandb,
        )

    def _check(self) -> None:
        """Refuse settings that cannot be trained with, whatever the data."""
        for option in ("fraction", "layer_decay"):
            if not 0 < (share := getattr(self, option)) <= 1:
                raise UserError(f"{option} must be above 0 and at most 1, not {share}")
        if not 0 < self.hold_out < 1:
            raise UserError(
                f"hold_out must be above 0 and below 1, not {self.hold_out}: somebody has to choose the epoch"
            )
        for option in ("scratch_lr", "batch_size", "resamples"):
            if not 0 < (number := getattr(self, option)) < math.inf:
                raise UserError(f"{option} must be positive, not {number}")
        if not 0 <= self.seed < 2**32:  # what random numbers are made of
            raise UserError(f"seed must be at least 0 and below {2**32}, not {self.seed}")
        self.trainer.check()

    def _check_views(self, fs: float) -> None:
        if isinstance(self.views, LeadViews):
            raise UserError(
                "views: LeadViews show one lead at a time, and a window is classified by all of its leads: use Views"
            )
        if isinstance(self.views, MultiCrop):
            raise UserError("views: MultiCrop shows pieces of a window, which is classified as a whole: use Views")
        if self.views is not None:
            try:
                self.views.check(fs)
            except ValueError as error:
                raise UserError(f"views: {error}") from None


def _origin(study: Study, sides: Sides) -> dict[str, str]:
    """What trainings begin with, whatever the paths of checkpoint and data."""
    return {
        "weights of the checkpoint": study.encoder.weights,
        "data": fingerprint(study.store.meta["fingerprint"]),
        "patients learned from": fingerprint(sides.learners),
        "patients who choose the epoch": fingerprint(sides.judges),
    }


def _save(
    run: Run, study: Study, sides: Sides, classifier: Classifier, scores: Mapping[str, Mapping[str, float]], epochs: int
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
        Finetune(**cli.parse(Finetune, argv, defaults=DEFAULTS).instantiate()).run()

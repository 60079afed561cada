"""One training run, from wherever it was stopped to its end."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ssl_ecg.data.module import TrainingWindows
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import Trained
from ssl_ecg.training.log import EpochLog, Throughput
from ssl_ecg.training.module import TrainingModule
from ssl_ecg.training.pieces import cached, check_pieces
from ssl_ecg.training.processes import first_process
from ssl_ecg.training.resume import Resume, Stop, Stopped
from ssl_ecg.training.settings import TrainerSettings
from ssl_ecg.training.sync_batchnorm import synchronise


def train(
    trained: Trained,
    data: TrainingWindows,
    folder: Path,
    settings: TrainerSettings,
    logger: Logger | None = None,
    watching: Sequence[Callback] = (),
) -> list[dict[str, float]]:
    """Train a method or a classifier in place, going on from `folder/last.ckpt` where there is one.

    The folder gets `last.ckpt` and `metrics.csv`; callbacks `watching` add to the metrics of an epoch, `logger` gets
    them all.

    Returns:
        The metrics of each epoch.

    Raises:
        CheckpointError: if `last.ckpt` cannot be read or does not fit it.
        UserError: if the machine lacks the accelerator, the batch must stay whole, or the loss is no longer finite.
        SystemExit: saved, with 128 and the signal's number: 130 after Ctrl-C, 138 after SIGUSR1, 140 after SIGUSR2, 143
            after SIGTERM; with 0 in all processes but the first.
        KeyboardInterrupt: after a second Ctrl-C, without saving.
    """
    check_pieces(trained, settings)
    torch.use_deterministic_algorithms(True, warn_only=True)
    log = EpochLog(folder)
    stop = Stop()
    resume = Resume(folder, log, settings.save_minutes, stop)
    # What saves comes last, so that what is saved is complete.
    callbacks: list[Callback] = [Throughput(), _Finite(resume.path), *watching, log, resume]
    if sys.stderr.isatty():
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    steps = data.batches(ranks=settings.processes).steps  # an epoch's
    with _quiet(), stop:
        try:
            trainer = Trainer(
                max_epochs=settings.max_epochs,
                accelerator=settings.accelerator,
                devices=settings.devices,
                num_nodes=settings.num_nodes,
                precision=settings.precision,
                gradient_clip_val=settings.gradient_clip or None,
                sync_batchnorm=settings.processes > 1 and settings.on_gpu,
                callbacks=callbacks,
                logger=logger if logger is not None else False,
                log_every_n_steps=min(10, steps),
                enable_checkpointing=False,
                enable_progress_bar=sys.stderr.isatty(),
                enable_model_summary=False,
                use_distributed_sampler=False,  # Batches gives each rank its own share
                reload_dataloaders_every_n_epochs=1,  # Batches are those of one epoch, or of what is left of it
                default_root_dir=folder,
            )
        except Exception as error:  # noqa: BLE001  (Lightning raises several kinds for hardware that is not there)
            raise UserError(f"trainer: {error}") from None
        if settings.processes > 1 and not settings.on_gpu:
            synchronise(trained)
        trained.prepare(data.train.preprocessing.fs, data.seed, steps * settings.max_epochs)
        resume.restore(trainer, trained, steps)
        if len(log.rows) < settings.max_epochs:
            try:
                with (
                    compiled(trained.encoder) if settings.compile else nullcontext(),
                    cached(trained.encoder, settings.cached) if settings.cached else nullcontext(),
                ):
                    trainer.fit(TrainingModule(trained, data, settings.accumulate))
            except Stopped as stopped:
                raise _stopped(stopped.by, folder) from None
            except SIGTERMException:  # before the first step, when only Lightning listened
                raise _stopped(signal.SIGTERM, folder) from None
            except SystemExit:  # what Lightning makes of a second Ctrl-C
                raise KeyboardInterrupt from None
            if stop.by is not None:  # as the last epoch ended
                raise _stopped(stop.by, folder)
    return log.rows


def _stopped(by: signal.Signals, folder: Path) -> SystemExit:
    """Say that a run is saved; the exit that tells the caller."""
    if not first_process():
        return SystemExit(0)  # or Lightning would take it for a crash, and kill the first
    print(f"stopped by {by.name} and saved: run the same command again to go on with {folder}", file=sys.stderr)
    return SystemExit(128 + by)


class _Finite(Callback):
    """Stops at a loss that is NaN or infinite, before it is written over the last good state in the file `saved`."""

    def __init__(self, saved: Path) -> None:
        self.saved = saved

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(outputs, Mapping)
        loss = outputs["loss"]
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss is {float(loss)} at step {trainer.global_step}: lower the optimiser's lr "
                "or use trainer.precision 32-true; "
                + (f"the last good state is kept in {self.saved}" if self.saved.exists() else "nothing was saved yet")
            )


@contextmanager
def compiled(encoder: Encoder) -> Iterator[None]:
    """Run an encoder's layers compiled within the block; its weights and what is saved of it stay as they are."""
    name = "features" if encoder.has_tokens else "forward"
    setattr(encoder, name, torch.compile(getattr(encoder, name)))
    try:
        yield
    finally:
        delattr(encoder, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Lightning's advertisements and its advice about what is done here on purpose."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*`IterableDataset` has `__len__` defined.*",
            ".*LeafSpec.*",
            ".*treespec.*",
            ".*lr_scheduler.step.*",
            ".*GPU available but not used.*",
            ".*`srun` command is available.*",
            ".*in eval mode at the start of training.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

"""A stopped run goes on: the training state is saved now and then, and at a signal, and whole or not at all.

Lightning's own resume is not used: within an epoch it loses count of the batches. A run is instead always new to
Lightning, with weights, optimiser, schedule and the counters of steps and epochs put in place first. Nothing else is
needed, because every step's randomness follows from its number. Lightning's own ways to stop are not used either: its
SIGTERM is a broadcast in the midst of others, which hangs several processes, its SIGUSR1 saves in the midst of a step
(Lightning#21406), and its Ctrl-C ends one halfway.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ssl_ecg.errors import CheckpointError
from ssl_ecg.files import replacing
from ssl_ecg.methods.base import Trained
from ssl_ecg.training.log import EpochLog
from ssl_ecg.training.module import TrainingModule
from ssl_ecg.training.processes import first_process

# What sbatch --signal, submitit and others send ahead of a job's end; Windows knows none.
_WARNINGS = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


class Stopped(Exception):  # noqa: N818  (nothing is wrong)
    """Training was stopped after it was saved, by the signal `by`."""

    def __init__(self, by: signal.Signals) -> None:
        self.by = by


class Stop:
    """Notes in `by` the first signal to stop, from `listen` to the block's end; a second Ctrl-C stops at once.

    SIGUSR1 and SIGUSR2 are noted from the block's start, or Lightning would listen to them under SLURM.

    Where Ctrl-C has another handler, or in another thread than the main one, it is left alone.
    """

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def listen(self) -> None:
        """Begin to note signals."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._ask)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._ask)

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before |= {number: signal.signal(number, self._ask) for number in _WARNINGS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SystemExit) and not first_process():
            # srun and torchrun end who is still there when the first has ended: it shall not count as killed.
            self._before[signal.SIGTERM] = signal.SIG_IGN
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.by = self.by or signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if first_process():  # by the system: print may itself be what was interrupted
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")


class Resume(Callback):
    """Keeps `last.ckpt` in the run's folder, with the log's rows, and starts from it where there is one.

    It is written after every epoch, every `minutes` within one, and after the current step when a signal has come to
    any of the processes (`stop`), which ends training. What a SIGKILL costs is the time since the last save.
    """

    def __init__(self, folder: Path, log: EpochLog, minutes: float, stop: Stop) -> None:
        self.path = folder / "last.ckpt"
        self.epochs = log
        self.minutes, self.stop = minutes, stop
        self._state: dict[str, Any] | None = None
        self._saved = time.monotonic()

    def restore(self, trainer: Trainer, trained: Trained, steps_per_epoch: int) -> None:
        """Put a saved state's weights and counters in place; the rest follows when training starts.

        CheckpointError if the file cannot be read or does not fit it.
        """
        if not self.path.exists():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            trained.load_state_dict(state["method"], strict=True)
            step, self.epochs.rows = int(state["step"]), list(state["rows"])
            self._state = {name: state[name] for name in ("optimiser", "schedule", "precision")}
        except Exception as error:  # noqa: BLE001  (zip, pickle and torch each raise kinds of their own)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self.path} cannot be resumed ({reason}): delete it to start the run over"
            ) from None
        loop = trainer.fit_loop
        for count in ("ready", "started", "processed", "completed"):
            setattr(loop.epoch_progress.current, count, step // steps_per_epoch)
        steps = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.ready = steps.completed = step
        loop.epoch_loop._batches_that_stepped = step  # what loggers count by

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the state of what Lightning has made by now in place."""
        if self._state is not None:
            trainer.optimizers[0].load_state_dict(self._state["optimiser"])
            trainer.lr_scheduler_configs[0].scheduler.load_state_dict(self._state["schedule"])
            trainer.precision_plugin.load_state_dict(self._state["precision"])
            self._state = None
        self.stop.listen()  # in place of Lightning, which listens by now

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if it was asked for while the epoch before was ending, now that its metrics are logged."""
        self._save_if_asked(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save if it is time; the last step of an epoch is saved by `on_train_epoch_end`."""
        if batch_idx + 1 == trainer.num_training_batches:
            return
        self._save_if_asked(trainer, pl_module, due=time.monotonic() - self._saved > 60 * self.minutes)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's metrics are known."""
        self._save(trainer, pl_module)

    def _save_if_asked(self, trainer: Trainer, module: LightningModule, *, due: bool = False) -> None:
        """Save if it is due or a signal has come, and then stop: all processes, whichever of them says so."""
        asked = torch.tensor([due, self.stop.by or 0], device=trainer.strategy.root_device)
        save, by = trainer.strategy.reduce(asked, reduce_op="max").tolist()
        if save or by:
            self._save(trainer, module)
        if by:
            raise Stopped(signal.Signals(by))

    def _save(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._saved = time.monotonic()
        if not trainer.is_global_zero:
            return
        write_state(
            self.path,
            {
                "method": module.trained.state_dict(),
                "optimiser": trainer.optimizers[0].state_dict(),
                "schedule": trainer.lr_scheduler_configs[0].scheduler.state_dict(),
                "precision": trainer.precision_plugin.state_dict(),
                "step": trainer.global_step,
                "rows": self.epochs.rows,
            },
        )


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state of training, whole or not at all; UserError if it cannot be written."""
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's word for a full disk
            raise OSError(errno.ENOSPC, f"is the disk full? {str(error).splitlines()[0]}") from None

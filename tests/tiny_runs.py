"""A tiny pretraining, to be stopped and gone on with."""

from __future__ import annotations

import signal
from pathlib import Path

import torch
from pytorch_lightning import Callback
from safetensors.torch import load_file

TINY = [
    "--data.patients=40",
    "--data.records_per_patient=2",
    "--data.duration=5",
    "--preprocessing.window=5",
    "--preprocessing.leads=[II,V1]",
    "--method.encoder.width=4",
    "--method.encoder.stages=2",
    "--batch_size=8",
    "--trainer.max_epochs=3",
    "--trainer.save_minutes=0.0001",
    "--trainer.accelerator=cpu",
]


def arguments(tmp_path: Path, name: str, *more: str) -> list[str]:
    return [*TINY, f"--out={tmp_path}/runs", f"--cache={tmp_path}/cache", f"--name={name}", *more]


def weights(tmp_path: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(tmp_path / "runs" / name / "checkpoint" / "model.safetensors")


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


class Stop(Callback):
    """Stops the run as a crash would, before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("stopped")


def listening() -> None:
    """As in a terminal: what a shell starts in the background, a test too, is deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

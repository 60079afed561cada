"""How the trainer runs: how long, on what, how precisely."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from ssl_ecg.errors import UserError


@dataclass(frozen=True)
class TrainerSettings:
    """How long to train, on what, and how precisely.

    Args:
        max_epochs: passes over the training windows.
        accelerator: "auto" takes a GPU where there is one.
        devices: processes of a machine, each with a device of its own.
        num_nodes: machines; more than one are started by torchrun or srun, with `devices` processes on each.
        precision: of the forward pass; the loss is always computed in 32 bits.
        save_minutes: time between saves within an epoch; what a power cut costs.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        accumulate: pieces in which a batch is worked through for one step, where memory is short. BatchNorm sees a
            piece at a time; refused where the loss compares the samples of a batch.
        cached: windows that the encoder embeds at a time, of a batch that the loss compares whole; 0 for all at once.
            The gradient is the whole batch's, for a second forward pass; refused for encoders with BatchNorm.
        compile: whether the encoder is compiled by torch.compile: a minute at the start, then faster on GPUs.
    """

    max_epochs: int = 10
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    save_minutes: float = 2.0
    gradient_clip: float = 0.0
    accumulate: int = 1
    cached: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        if self.max_epochs < 1:
            raise UserError(f"trainer.max_epochs must be at least 1, not {self.max_epochs}")
        for name in ("devices", "num_nodes", "accumulate"):
            if (number := getattr(self, name)) < 1:
                raise UserError(f"trainer.{name} must be at least 1, not {number}")
        if self.cached < 0:
            raise UserError(f"trainer.cached must not be negative, not {self.cached}")
        if self.save_minutes <= 0:
            raise UserError(f"trainer.save_minutes must be positive, not {self.save_minutes}")
        if self.gradient_clip < 0:
            raise UserError(f"trainer.gradient_clip must not be negative, not {self.gradient_clip}")

    @property
    def processes(self) -> int:
        """How many train together, on all machines."""
        return self.devices * self.num_nodes

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on NVIDIA's or AMD's GPUs."""
        return self.accelerator != "cpu" and torch.cuda.is_available()

    def check(self) -> None:
        """Refuse, before any work, what cannot be had here: UserError naming the setting and what there is."""
        torchrun, slurm = os.environ.get("WORLD_SIZE"), os.environ.get("SLURM_STEP_NUM_TASKS")
        started = int(torchrun or slurm or 1)
        if started != self.processes and (torchrun or self.num_nodes > 1):
            raise UserError(
                f"trainer.devices is {self.devices} and trainer.num_nodes {self.num_nodes}, but {started} processes "
                "were started: start as many by torchrun or srun"
            )
        if self.accelerator == "gpu" and not (self.on_gpu or torch.backends.mps.is_available()):
            raise UserError("trainer.accelerator is gpu, but there is none here: use cpu, or auto")
        if self.on_gpu and self.devices > (there := torch.cuda.device_count()):
            raise UserError(f"trainer.devices is {self.devices}, but there are {there} GPUs here")

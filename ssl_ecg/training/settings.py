"""How the trainer runs: how long, on what, how precisely."""

from __future__ import annotations

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
        devices: processes of this machine, each with a device of its own.
        precision: of the forward pass; the loss is always computed in 32 bits.
        save_minutes: time between saves within an epoch; what a power cut costs.
        gradient_clip: largest norm of the gradient; 0 does not clip.
    """

    max_epochs: int = 10
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    save_minutes: float = 2.0
    gradient_clip: float = 0.0

    def __post_init__(self) -> None:
        if self.max_epochs < 1:
            raise UserError(f"trainer.max_epochs must be at least 1, not {self.max_epochs}")
        if self.devices < 1:
            raise UserError(f"trainer.devices must be at least 1, not {self.devices}")
        if self.save_minutes <= 0:
            raise UserError(f"trainer.save_minutes must be positive, not {self.save_minutes}")
        if self.gradient_clip < 0:
            raise UserError(f"trainer.gradient_clip must not be negative, not {self.gradient_clip}")

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on NVIDIA's or AMD's GPUs."""
        return self.accelerator != "cpu" and torch.cuda.is_available()

    def check(self) -> None:
        """Refuse, before any work, devices that this machine lacks: UserError naming the setting and what there is."""
        if self.accelerator == "gpu" and not (self.on_gpu or torch.backends.mps.is_available()):
            raise UserError("trainer.accelerator is gpu, but there is none here: use cpu, or auto")
        if self.on_gpu and self.devices > (there := torch.cuda.device_count()):
            raise UserError(f"trainer.devices is {self.devices}, but there are {there} GPUs here")

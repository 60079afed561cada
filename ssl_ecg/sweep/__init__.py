"""Score checkpoints by predictors over tasks and shares of the labels."""

from ssl_ecg.sweep.command import Sweep, main

__all__ = ["Sweep", "main"]

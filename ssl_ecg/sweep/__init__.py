"""Score checkpoints by probes over tasks, label fractions and penalties."""

from ssl_ecg.sweep.command import main, sweep

__all__ = ["main", "sweep"]

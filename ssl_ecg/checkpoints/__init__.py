"""List, show, pull, push, verify and compare checkpoints."""

from ssl_ecg.checkpoints.command import main

__all__ = ["main"]

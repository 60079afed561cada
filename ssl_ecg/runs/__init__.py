"""List the runs below a folder, and how they fare."""

from ssl_ecg.runs.command import Runs, main

__all__ = ["Runs", "main"]

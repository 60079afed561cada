"""Score frozen embeddings by a linear probe."""

from ssl_ecg.probe.command import Probe, main

__all__ = ["Probe", "main"]

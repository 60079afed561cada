"""Score frozen embeddings by a linear probe."""

from ssl_ecg.probe.command import main, probe

__all__ = ["main", "probe"]

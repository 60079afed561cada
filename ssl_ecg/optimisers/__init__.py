"""Optimisers with their learning-rate schedule. A new one is one new file and one line here."""

from ssl_ecg.optimisers.adamw import AdamW
from ssl_ecg.optimisers.base import Optimiser
from ssl_ecg.optimisers.lars import LARS

__all__ = ["LARS", "AdamW", "Optimiser"]

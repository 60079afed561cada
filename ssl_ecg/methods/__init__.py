"""Pretraining methods. A new one is one new file and one line here."""

from ssl_ecg.methods.base import Method
from ssl_ecg.methods.byol import BYOL
from ssl_ecg.methods.simclr import SimCLR

__all__ = ["BYOL", "Method", "SimCLR"]

"""Pretraining methods. A new one is one new file and one line here."""

from ssl_ecg.methods.base import JointEmbedding, Method, Predictive, Reconstructive
from ssl_ecg.methods.byol import BYOL
from ssl_ecg.methods.simclr import SimCLR

__all__ = ["BYOL", "JointEmbedding", "Method", "Predictive", "Reconstructive", "SimCLR"]

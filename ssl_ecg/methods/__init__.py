"""Pretraining methods. A new one is one new file and one line here."""

from ssl_ecg.methods.autoencoder import Autoencoder
from ssl_ecg.methods.base import JointEmbedding, Method, Predictive, Reconstructive
from ssl_ecg.methods.byol import BYOL
from ssl_ecg.methods.cpc import CPC
from ssl_ecg.methods.jepa import JEPA
from ssl_ecg.methods.joint import Joint
from ssl_ecg.methods.masked_autoencoder import MaskedAutoencoder
from ssl_ecg.methods.simclr import SimCLR

__all__ = [
    "BYOL",
    "CPC",
    "JEPA",
    "Autoencoder",
    "Joint",
    "JointEmbedding",
    "MaskedAutoencoder",
    "Method",
    "Predictive",
    "Reconstructive",
    "SimCLR",
]

"""Pretraining methods. A new one is one new file and one line here."""

from ssl_ecg.methods.autoencoder import Autoencoder
from ssl_ecg.methods.barlow_twins import BarlowTwins
from ssl_ecg.methods.base import Method
from ssl_ecg.methods.byol import BYOL
from ssl_ecg.methods.cpc import CPC
from ssl_ecg.methods.dino import DINO
from ssl_ecg.methods.distillation import Distillation
from ssl_ecg.methods.jepa import JEPA
from ssl_ecg.methods.joint import Joint
from ssl_ecg.methods.joint_embedding import JointEmbedding
from ssl_ecg.methods.lejepa import LeJEPA
from ssl_ecg.methods.masked_autoencoder import MaskedAutoencoder
from ssl_ecg.methods.moco import MoCo
from ssl_ecg.methods.on_tokens import Predictive, Reconstructive
from ssl_ecg.methods.simclr import SimCLR
from ssl_ecg.methods.simsiam import SimSiam
from ssl_ecg.methods.vicreg import VICReg

__all__ = [
    "BYOL",
    "CPC",
    "DINO",
    "JEPA",
    "Autoencoder",
    "BarlowTwins",
    "Distillation",
    "Joint",
    "JointEmbedding",
    "LeJEPA",
    "MaskedAutoencoder",
    "Method",
    "MoCo",
    "Predictive",
    "Reconstructive",
    "SimCLR",
    "SimSiam",
    "VICReg",
]

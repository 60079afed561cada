"""Encoders: `(B, C, T) -> (B, D)`. A new one is one new file and one line here."""

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.resnet import ResNet1d

__all__ = ["Encoder", "ResNet1d"]

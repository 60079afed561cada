"""Encoders: `(B, C, T) -> (B, D)`. A new one is one new file and one line here."""

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.convgru import ConvGRU
from ssl_ecg.encoders.convnext import ConvNeXt1d
from ssl_ecg.encoders.convs4d import ConvS4D
from ssl_ecg.encoders.inception import InceptionTime
from ssl_ecg.encoders.mobilenet import MobileNet1d
from ssl_ecg.encoders.resnet import ResNet1d
from ssl_ecg.encoders.side_by_side import SideBySide
from ssl_ecg.encoders.xresnet import XResNet1d

__all__ = [
    "ConvGRU",
    "ConvNeXt1d",
    "ConvS4D",
    "Encoder",
    "InceptionTime",
    "MobileNet1d",
    "ResNet1d",
    "SideBySide",
    "XResNet1d",
]

"""Pretrain an encoder on unlabelled ECG."""

from ssl_ecg.pretrain.command import DEFAULTS, Pretrain, main

__all__ = ["DEFAULTS", "Pretrain", "main"]

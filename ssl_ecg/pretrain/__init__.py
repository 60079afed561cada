"""Pretrain an encoder on unlabelled ECG."""

from ssl_ecg.pretrain.command import main, pretrain

__all__ = ["main", "pretrain"]

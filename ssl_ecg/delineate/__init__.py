"""Find the P, QRS and T waves of recordings with a frozen encoder."""

from ssl_ecg.delineate.command import Delineate, main

__all__ = ["Delineate", "main"]

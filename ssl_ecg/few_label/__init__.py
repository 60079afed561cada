"""Predict from few labelled patients."""

from ssl_ecg.few_label.command import few_label, main

__all__ = ["few_label", "main"]

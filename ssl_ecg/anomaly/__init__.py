"""Find what is unlike normal ECG."""

from ssl_ecg.anomaly.command import Anomaly, main

__all__ = ["Anomaly", "main"]

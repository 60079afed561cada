"""Find what is unlike normal ECG."""

from ssl_ecg.anomaly.command import anomaly, main

__all__ = ["anomaly", "main"]

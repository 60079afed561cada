"""Read long recordings, such as Holter tapes: beats, their classes, anomalies, episodes, and a page of the day."""

from ssl_ecg.monitor.command import Monitor, main

__all__ = ["Monitor", "main"]

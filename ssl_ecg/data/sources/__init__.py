"""Data sets. A new one is one new file and one line here."""

from ssl_ecg.data.source import Source
from ssl_ecg.data.sources.mitbih import MITBIH
from ssl_ecg.data.sources.simulated import Simulated

__all__ = ["MITBIH", "Simulated", "Source"]

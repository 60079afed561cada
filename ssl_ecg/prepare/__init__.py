"""Fetch, convert and summarise a data set."""

from ssl_ecg.prepare.command import main, prepare

__all__ = ["main", "prepare"]

"""Embed a whole data set into one file."""

from ssl_ecg.embed.command import embed, main

__all__ = ["embed", "main"]

"""Encode a recording as it comes: causal conditioning and an encoder that goes on where it was."""

from ssl_ecg.streaming.stream import Hop, StreamingEncoder

__all__ = ["Hop", "StreamingEncoder"]

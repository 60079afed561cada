"""Encoders of ours by their dotted names."""

from __future__ import annotations

from ssl_ecg.encoders.base import Encoder


def class_named(dotted: str) -> type[Encoder] | None:
    """Find the encoder of `ssl_ecg.encoders` that a dotted name means, by whichever of our modules; None for others."""
    from ssl_ecg import encoders  # which lists them all, once this has been imported

    module, _, name = dotted.rpartition(".")
    if name not in encoders.__all__ or not f"{module}.".startswith(f"{encoders.__name__}."):
        return None
    found: type[Encoder] = getattr(encoders, name)
    return found

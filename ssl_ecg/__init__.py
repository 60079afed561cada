"""Self-supervised representation learning for the electrocardiogram (ECG)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_ecg.checkpoint import load_encoder
    from ssl_ecg.checkpoint.embedder import ECGEmbedder
    from ssl_ecg.data.recording import read_recording

__version__ = "0.1.0"

__all__ = ["ECGEmbedder", "StreamingEncoder", "__version__", "load_encoder", "read_recording"]


def __getattr__(name: str) -> object:
    # Torch takes seconds to import: only those who ask for the encoder wait for it.
    if name == "load_encoder":
        from ssl_ecg.checkpoint import load_encoder

        return load_encoder
    if name == "read_recording":
        from ssl_ecg.data.recording import read_recording

        return read_recording
    if name == "ECGEmbedder":
        from ssl_ecg.checkpoint.embedder import ECGEmbedder

        return ECGEmbedder
    if name == "StreamingEncoder":
        from ssl_ecg.streaming import StreamingEncoder

        return StreamingEncoder
    raise AttributeError(f"module 'ssl_ecg' has no attribute {name!r}")

"""Export an encoder for devices: one ONNX file, and all that is needed to run and to check it."""

from ssl_ecg.export.command import Export, main

__all__ = ["Export", "main"]

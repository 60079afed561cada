"""`torch.hub`: `torch.hub.load("PATH/TO/THIS/CHECKOUT", "encoder", REF, source="local")`."""

from __future__ import annotations

from collections.abc import Collection

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder

dependencies = ["torch", "numpy", "scipy", "safetensors", "huggingface_hub"]


def encoder(ref: str, trust: bool | Collection[str] = False) -> PretrainedEncoder:
    """Load a pretrained encoder by reference: see `ssl_ecg.load_encoder`."""
    return load_encoder(ref, trust)

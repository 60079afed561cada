"""The device a command computes on."""

from __future__ import annotations

import torch

from ssl_ecg.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device of that name; for auto, a GPU if there is one. UserError if there is no such device here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"there is no device {name!r} here ({str(error).splitlines()[0]}): use cpu or auto") from None
    return device

"""The contract every encoder fulfils: `(B, C, T) -> (B, D)` for any T."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps windows of ECG to embeddings.

    A subclass's constructor arguments are its settings, are plain values, and include `in_channels`;
    together with the class they rebuild it from a checkpoint.

    Attributes:
        in_channels: number of leads C.
        any_leads: whether it takes any number of leads all the same, each embedded by itself.
        dim: length of an embedding, D.
        arguments: what the constructor was called with, defaults filled in.
    """

    in_channels: int
    any_leads: bool = False
    dim: int
    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Encoder:  # noqa: ANN401
        """Note the arguments, so that no encoder has to."""
        self = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        object.__setattr__(self, "arguments", dict(list(bound.arguments.items())[1:]))
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Embed windows.

        Args:
            x: shape (B, C, T), any T from a few samples up.

        Returns:
            Shape (B, D).
        """

    def layers(self) -> list[nn.Module]:
        """Its layers from the signal to the embedding, which layer-wise learning rates count by.

        The direct submodules, in the order they were made; an encoder whose depth lies within one of them says better.
        """
        return list(self.children())

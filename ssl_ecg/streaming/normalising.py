"""Normalisation of a recording that is still going on, in blocks of one length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.preprocessing import FLAT, Preprocessing, typical_sd
from ssl_ecg.streaming.conditioning import Array, State


class Normaliser:
    """Normalises block by block: what a block becomes depends on where it lies, not on how the samples came.

    By "window", each sample by the window around it, as `Preprocessing.normalise_record`: half a window late. By
    "record", by a scale that is given, or else is the typical standard deviation of the first `enrol` s, which are held
    back until then. "none" changes nothing.
    """

    def __init__(
        self, preprocessing: Preprocessing, channels: int, block: int, scale: Array | None, enrol: float
    ) -> None:
        self.how, self.block, self.samples = preprocessing.normalise, block, preprocessing.samples
        self.stretch, self.enrol = round(2 * preprocessing.fs), max(1, round(enrol * preprocessing.fs))
        self.scale = (
            np.zeros((channels, 0)) if scale is None else np.asarray(scale, dtype=np.float64).reshape(channels, 1)
        )
        self.waits = self.samples - self.samples // 2 if self.how == "window" else 0
        self._held: Array = np.zeros((channels, 0))
        self._first = self._made = 0  # index of the first held sample; samples given

    def push(self, x: Array) -> list[NDArray[np.float32]]:
        """Take samples (C, n) in mV; give blocks (C, block)."""
        self._held = np.concatenate([self._held, x], axis=1)
        seen = self._first + self._held.shape[1]
        if self.how == "record" and not self.scale.shape[1]:
            if seen < self.enrol:
                return []
            self.scale = typical_sd(self._held[:, : self.enrol], self.stretch)
        if self.how == "window" and seen < self.samples:
            return []
        blocks = []
        while seen - self._made >= self.block + self.waits:
            blocks.append(self._normalised(self._made + self.block, seen))
        return blocks

    def finish(self) -> NDArray[np.float32]:
        """Give what is left, (C, n)."""
        seen = self._first + self._held.shape[1]
        if self.how == "record" and not self.scale.shape[1] and seen:
            self.scale = typical_sd(self._held, self.stretch)
        return self._normalised(seen, seen)

    def _normalised(self, end: int, seen: int) -> NDArray[np.float32]:
        """Samples up to before `end`; what no later one needs is forgotten."""
        x = self._held[:, self._made - self._first : end - self._first]
        if self.how == "record":
            x = x / self.scale if x.size else x
        elif self.how == "window" and x.size:
            samples = min(self.samples, seen)
            first = np.clip(np.arange(self._made, end) - self.samples // 2, 0, seen - samples) - self._first
            low, high = first[0], first[-1] + samples
            windows = np.lib.stride_tricks.sliding_window_view(self._held[:, low:high], samples, axis=1)[:, first - low]
            mean = windows.mean(-1)
            x = (x - mean) / np.maximum(np.sqrt(np.square(windows - mean[..., None]).mean(-1)), FLAT)
        self._made = end
        needed = max(self._first, end - (self.samples if self.how == "window" else 0))
        self._held, self._first = self._held[:, needed - self._first :].copy(), needed
        return np.asarray(x, dtype=np.float32)

    def state(self) -> State:
        """All that the future depends on."""
        return {"held": self._held, "scale": self.scale, "counts": np.array([self._first, self._made])}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._held, self.scale = (np.asarray(state[name], dtype=np.float64) for name in ("held", "scale"))
        self._first, self._made = (int(n) for n in state["counts"])

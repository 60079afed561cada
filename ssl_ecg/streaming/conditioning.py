"""`Preprocessing.condition` for a recording that is still going on: causal filters, and a resampler with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError
from ssl_ecg.leads import pick
from ssl_ecg.preprocessing import Preprocessing, butterworth

Array = NDArray[np.float64]
State = dict[str, NDArray[np.generic]]


class CausalConditioning:
    """Picks leads, filters and resamples chunk by chunk; the same samples come out however it is cut.

    The filters are those of `Preprocessing`, run forwards alone: phases move, most around the high-pass's cut-off, and
    what a zero-phase filter squares is taken once. The resampler is the same linear-phase one and waits for `delay` s.

    Args:
        preprocessing: what the encoder was trained with.
        fs: sampling rate of the chunks, Hz.
        leads: name of each channel.

    Raises:
        DataError: for leads or a rate that cannot be used.
    """

    def __init__(self, preprocessing: Preprocessing, fs: float, leads: Sequence[str]) -> None:
        import scipy.signal

        preprocessing.check_band(fs)
        self.have, self.want = tuple(leads), preprocessing.on(tuple(leads)).leads
        self.any = preprocessing.any_leads
        low = preprocessing.lowpass if preprocessing.lowpass and preprocessing.lowpass < fs / 2 else 0
        kinds: tuple[tuple[Literal["highpass", "lowpass"], int, float], ...] = (
            ("highpass", 2, preprocessing.highpass),
            ("lowpass", 4, low),
        )
        self.filters = [butterworth(order, cutoff, kind, fs) for kind, order, cutoff in kinds if cutoff]
        ratio = preprocessing.ratio(fs)
        self.up, self.down = ratio.numerator, ratio.denominator
        self.half = 0 if ratio == 1 else 10 * max(self.up, self.down)
        if self.half:
            taps = scipy.signal.firwin(2 * self.half + 1, 1 / max(self.up, self.down), window=("kaiser", 5.0)) * self.up
            self.lead_in = -self.half % self.down  # so that an output falls on the middle of the taps
            self.taps = np.concatenate([np.zeros(self.lead_in), taps])
        self.delay = self.half / self.up / fs
        self._memory: list[Array] | None = None
        self._kept: Array = np.zeros((len(self.want), 0))
        self._first = self._seen = self._made = 0  # index of the first kept sample; samples in; samples out
        self._pick(np.zeros((len(self.have), 2)))

    def _pick(self, x: Array) -> Array:
        try:
            return x if self.any else np.asarray(pick(x, self.have, self.want))
        except ValueError as error:
            raise DataError(f"{error}; the encoder's leads are {', '.join(self.want)}") from None

    def push(self, chunk: Array) -> Array:
        """Take a chunk (C, n) in mV, any n; give what is finished, (C', m), at the encoder's rate."""
        import scipy.signal

        if chunk.ndim != 2 or len(chunk) != len(self.have):
            raise DataError(f"a chunk must have shape ({len(self.have)}, n), not {chunk.shape}")
        if not np.isfinite(chunk).all():
            raise DataError("a chunk has samples that are NaN or infinite: cut the stretch out or interpolate it")
        if not chunk.shape[1]:
            return np.zeros((len(self.want), 0))
        x = self._pick(chunk)
        if self._memory is None:  # as if the first sample had always been there
            self._memory, value = [], x[:, :1]
            for sos in self.filters:
                steady = scipy.signal.sosfilt_zi(sos)[:, None] * value
                self._memory.append(steady)
                value = scipy.signal.sosfilt(sos, value, zi=steady)[0]
            pad = -(-(self.half // self.up + 1) // self.down) * self.down
            self._kept, self._first = np.repeat(value, pad, axis=1), -pad
        for i, sos in enumerate(self.filters):
            x, self._memory[i] = scipy.signal.sosfilt(sos, x, zi=self._memory[i])
        self._seen += x.shape[1]
        if not self.half:
            return np.asarray(x)
        self._kept = np.concatenate([self._kept, x], axis=1)
        return self._resampled(max(0, (self._seen * self.up - 1 - self.half) // self.down + 1))

    def finish(self) -> Array:
        """Give what is left once the last chunk was pushed; the last sample is held."""
        if not self.half or not self._seen:
            return np.zeros((len(self.want), 0))
        self._kept = np.concatenate([self._kept, np.repeat(self._kept[:, -1:], self.half // self.up + 1, 1)], axis=1)
        return self._resampled(-(-self._seen * self.up // self.down))

    def _resampled(self, end: int) -> Array:
        """Outputs up to before `end`; what no later one needs is forgotten."""
        import scipy.signal

        if end <= self._made:
            return np.zeros((len(self.want), 0))
        y = scipy.signal.upfirdn(self.taps, self._kept, self.up, self.down, axis=-1)
        shift = (self.lead_in + self.half - self._first * self.up) // self.down
        made = y[:, self._made + shift : end + shift]
        self._made = end
        oldest = -(-(end * self.down - self.half) // self.up)
        first = max(self._first, oldest // self.down * self.down)
        self._kept, self._first = self._kept[:, first - self._first :].copy(), first
        return np.asarray(made)

    def state(self) -> State:
        """All that the future depends on."""
        memory = {f"filter{i}": each for i, each in enumerate(self._memory or [])}
        counts = np.array([self._memory is not None, self._first, self._seen, self._made], dtype=np.int64)
        return {**memory, "kept": self._kept, "counts": counts}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        begun, self._first, self._seen, self._made = (int(n) for n in state["counts"])
        self._kept = np.asarray(state["kept"], dtype=np.float64)
        self._memory = [np.asarray(state[f"filter{i}"]) for i in range(len(self.filters))] if begun else None

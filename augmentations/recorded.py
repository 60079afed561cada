"""Noise that was recorded, such as the noise stress test database's, mixed in at a given signal-to-noise ratio."""

import ast
import math
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import Range, check_positive, check_range, draw
from augmentations.sources import add_sources, mixture_gains, mixture_sd

_SILENT = 1e-5  # noise that varies by less than this share of its offset is a constant with rounding errors
_NUMPY_TYPES: dict[str, torch.dtype] = {
    f"{kind[0]}{size}": getattr(torch, f"{kind}{8 * size}") for kind in ("float", "int") for size in (2, 4, 8)
}


def mix_at_snr(x: Tensor, noise: Tensor, snr: Tensor, gain: Tensor | None = None) -> Tensor:
    """Adds noise to (B, C, T), scaled so that each sample has a given signal-to-noise ratio, `snr` in dB, (B, 1).

    `noise` is (B, C, T) in any unit; or sources of it, (B, S, T), which each lead sees with its own `gain`, (B, C, S).
    The ratio is 10 log10(P_signal / P_noise), P being the mean over leads of the variance over time: offsets do not
    count, and that of the noise is left out. Where signal or noise is constant there is no such scale, and the sample
    is left as it is.
    """
    noise = noise.to(torch.promote_types(x.dtype, torch.float32))
    offset = noise.mean(-1, keepdim=True)
    noise = noise - offset
    if gain is None:
        total: Tensor = torch.linalg.vector_norm(noise, dim=(1, 2))
        sd = total[:, None] / math.sqrt(x.shape[1] * x.shape[2])
    else:
        sd = mixture_sd(noise, gain)
    audible = sd > _SILENT * offset.abs().amax(1)
    strength = audible * signal_sd(x) * 10 ** (-snr / 20) / torch.where(audible, sd, 1)
    noise = noise * strength[..., None]  # in the signal's unit, which its type can hold, whatever the noise's
    return x + noise.to(x.dtype) if gain is None else add_sources(x, noise, gain)


def resample_recording(x: Tensor, fs: float, new_fs: float) -> Tensor:
    """Resamples a recording by Fourier transform: exact below half the lower of the two rates, nothing above.

    A recording, (C, N), at `fs` Hz becomes one at `new_fs` Hz, (C, round(N new_fs / fs)), or less by up to p. It is
    mirrored first, so that its ends meet. Where the rates have a simple ratio p / q the result is in step with the
    recording throughout, otherwise by the end within half a sample.
    """
    ratio = Fraction(new_fs / fs).limit_denominator(1000)
    p, q = ratio.numerator, ratio.denominator
    if math.isclose(p / q, new_fs / fs) and x.shape[-1] >= 10 * q:
        x = x[:, : x.shape[-1] // q * q]
    length = x.shape[-1]
    new_length = max(1, round(length * new_fs / fs))
    if new_length == length:
        return x
    spectrum = torch.fft.rfft(torch.cat([x, x.flip(-1)], dim=-1))
    resampled: Tensor = torch.fft.irfft(spectrum[:, : new_length + 1], n=2 * new_length)
    return resampled[:, :new_length] * (new_length / length)


def load_recording(path: str) -> Tensor:
    """Reads a recording, (C, N), from a file: a tensor of `torch.save` (.pt) or an array of `numpy.save` (.npy).

    ValueError if it holds something else, or the name ends otherwise.
    """
    file = Path(path)
    if file.suffix == ".npy":
        return _read_npy(file)
    if file.suffix not in (".pt", ".pth"):
        raise ValueError(f"a recording of noise is a .pt or .npy file, not {path!r}")
    held = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(held, Tensor):
        raise ValueError(f"{path} holds a {type(held).__name__}, not a tensor: save the tensor (leads, time) by itself")
    return held


def _read_npy(file: Path) -> Tensor:
    """Reads numpy's format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, without numpy."""
    data = file.read_bytes()
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{file} is not in numpy's format")
    start = 10 if data[6] == 1 else 12
    (size,) = struct.unpack("<H" if data[6] == 1 else "<I", data[8:start])
    header = ast.literal_eval(data[start : start + size].decode("utf-8"))
    order, kind = header["descr"][0], header["descr"][1:]
    if kind not in _NUMPY_TYPES or order != {"little": "<", "big": ">"}[sys.byteorder]:
        raise ValueError(f"{file} holds numbers of the type {header['descr']}: save it as float32")
    values, shape = torch.frombuffer(bytearray(data[start + size :]), dtype=_NUMPY_TYPES[kind]), header["shape"]
    columns = header["fortran_order"]
    return values.view(shape[::-1]).permute(*reversed(range(len(shape)))) if columns else values.view(shape)


class RecordedNoise(Augmentation):
    """Adds noise from a recording, such as electrode motion, muscle noise or wander of a real patient.

    Each sample takes a random stretch of the recording, without its offset, and each of its leads a random mixture of
    the recording's leads: few recorded leads serve many. A shorter recording is continued by its mirror image.

    The recordings made for this are `em`, `ma` and `bm` of the noise stress test database (two leads, 30 minutes at
    360 Hz, https://physionet.org/content/nstdb/1.0.0/). To have one as a file, once:

        record = wfdb.rdrecord("em", pn_dir="nstdb")
        torch.save(torch.tensor(record.p_signal.T, dtype=torch.float32), "em.pt")

    Reference: Moody, Muldrow & Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 1984,
    where the ratio is -6 to 24 dB.

    Args:
        noise: The recording, (C, N), in any unit; or the path of a .pt or .npy file with it. A TypeError refuses what
            is no tensor of numbers, a ValueError one that is not (leads, time), not finite or constant.
        noise_fs: Its sampling rate in Hz. At another it is resampled, once: nothing is left above half the lower rate.
        snr: Range of the signal-to-noise ratio in dB, -100 to 100, as `mix_at_snr` defines it.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, noise: Tensor | str, noise_fs: float, snr: Range = (0.0, 20.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.noise = noise
        self.noise_fs = float(check_positive("noise_fs, the recording's sampling rate,", noise_fs, "Hz"))
        self.snr = check_range("snr", snr, least=-100, most=100)
        self._recording = _checked(load_recording(noise) if isinstance(noise, str) else noise)
        self._resampled: dict[tuple[float, torch.device, torch.dtype], Tensor] = {}

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, _, length = x.shape
        recording = self._at(fs, x)
        sources, available = recording.shape
        if available < length:
            there_and_back = torch.cat([recording, recording.flip(-1)], dim=-1)
            recording = there_and_back.repeat(1, math.ceil(length / available))
            available = recording.shape[-1]
        start = torch.randint(available - length + 1, (size, 1), generator=generator, device=x.device)
        rows = start + available * torch.arange(sources, device=x.device)
        noise = recording.flatten().unfold(0, length, 1).index_select(0, rows.flatten()).view(size, sources, length)
        gain = mixture_gains(x, sources, generator)
        return mix_at_snr(x, noise, draw(self.snr, (size, 1), x, generator), gain)

    def _at(self, fs: float, x: Tensor) -> Tensor:
        """The recording at the rate and on the device of a signal: made once, then kept."""
        key = (fs, x.device, torch.promote_types(x.dtype, torch.float32))
        if key in self._resampled:
            return self._resampled[key]
        recording = resample_recording(self._recording, self.noise_fs, fs).to(device=key[1], dtype=key[2])
        if type(recording) is Tensor:  # not one that only stands for a tensor while a compiler looks on
            self._resampled[key] = recording.contiguous()
        return recording.contiguous()

    def __getstate__(self) -> dict[str, Any]:
        """Without what was made from the recording: a worker makes it again."""
        return {**self.__dict__, "_resampled": {}}

    def __repr__(self) -> str:
        text = super().__repr__()
        if isinstance(self.noise, str):
            return text
        return text.replace(repr(self.noise), f"<tensor of shape {tuple(self.noise.shape)}>")


def _checked(noise: object) -> Tensor:
    """The recording in float64, which resampling is done in."""
    if not isinstance(noise, Tensor) or noise.is_complex():
        raise TypeError(f"noise is a tensor of numbers, (leads, time), or a path, not {type(noise).__name__}")
    if noise.ndim != 2 or noise.numel() == 0 or noise.shape[0] > noise.shape[1]:
        raise ValueError(f"noise is (leads, time), not of shape {tuple(noise.shape)}; a wfdb p_signal needs its .T")
    noise = noise.detach().to(device="cpu", dtype=torch.float64)
    if not noise.isfinite().all():
        raise ValueError("noise has values that are not finite: cut them out first")
    level = noise.abs().amax()
    noise = noise - noise.mean(-1, keepdim=True)
    if not noise.abs().amax() > 1e-9 * level:
        raise ValueError("noise is constant: there is nothing to add")
    return noise

"""ECG in DICOM files (waveform objects, PS3.3 A.34): signals in mV, sampling rate, leads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.wfdb_io import TO_MV
from ssl_ecg.errors import DataError

_LEAD = re.compile(r"\bLead\s+(aV[RLF]|V[1-9]|I{1,3})\b", re.IGNORECASE)


def read_dicom(path: Path) -> tuple[NDArray[np.float32], float, tuple[str, ...]]:
    """Read one recording from a DICOM file: its signals in mV, shape (C, T), their sampling rate in Hz, their leads.

    Of several groups of channels, such as ten seconds and a median beat, the longest is taken. DataError if the file
    cannot be read, holds no waveforms, or the channels are no voltages.
    """
    import pydicom

    try:
        document = pydicom.dcmread(path)
        groups: Any = document.get("WaveformSequence") or []
        if not groups:
            raise DataError(f"{path} holds no waveforms: it is a DICOM file of another kind.")
        number = max(range(len(groups)), key=lambda i: groups[i].NumberOfWaveformSamples)
        group = groups[number]
        signal = np.asarray(document.waveform_array(number), dtype=np.float32).T  # in each channel's unit
        channels = list(group.ChannelDefinitionSequence)
        units = [_code(channel, "ChannelSensitivityUnitsSequence", "CodeValue") for channel in channels]
        leads = [_lead(channel) or f"channel {i + 1}" for i, channel in enumerate(channels)]
        fs = float(group.SamplingFrequency)
    except DataError:
        raise
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a third party's parser on damaged bytes: anything can come out of it
        raise DataError(f"{path} is not a readable DICOM file ({error}).") from error
    if odd := sorted({unit or "none" for unit in units if unit not in TO_MV}):
        raise DataError(f"{path}: the unit {', '.join(odd)} is no voltage.")
    scale = np.array([TO_MV[unit] for unit in units], dtype=np.float32)
    return np.ascontiguousarray(signal * scale[:, None]), fs, tuple(leads)


def _lead(channel: Any) -> str:  # noqa: ANN401  (pydicom has no types)
    said = _code(channel, "ChannelSourceSequence", "CodeMeaning") or str(channel.get("ChannelLabel", ""))
    match = _LEAD.search(said)
    return match[1] if match else said.strip()


def _code(channel: Any, sequence: str, name: str) -> str:  # noqa: ANN401
    found = channel.get(sequence) or []
    return str(found[0].get(name, "")) if found else ""

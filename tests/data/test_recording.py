"""One recording, whatever file it is in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_ecg import read_recording
from ssl_ecg.data.ishne import HEADER
from ssl_ecg.errors import DataError, UserError

X = np.round(np.random.default_rng(0).normal(size=(2, 1000)), 2).astype(np.float32)


def wfdb(path: Path, gap: bool = False) -> Path:
    counts = np.round(X * 1000).astype("<i2")
    if gap:
        counts[1, 100:200] = -32768
    (path / "r.dat").write_bytes(counts.T.tobytes())
    sums = [int(c.sum(dtype=np.int64)) % 65536 for c in counts]
    lines = [f"r.dat 16 1000/mV 16 0 0 {sums[i]} 0 {name}" for i, name in enumerate(("ECG I", "II"))]
    (path / "r.hea").write_text("\n".join(["r 2 500 1000", *lines, ""]))
    return path / "r.hea"


def dicom(path: Path, unit: str = "uV") -> Path:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def coded(meaning: str, value: str) -> Dataset:
        made = Dataset()
        made.CodeValue, made.CodeMeaning, made.CodingSchemeDesignator = value, meaning, "SCPECG"
        return made

    def group(counts: np.ndarray, fs: float) -> Dataset:
        made = Dataset()
        made.SamplingFrequency, made.NumberOfWaveformChannels = str(fs), len(counts)
        made.NumberOfWaveformSamples, made.WaveformBitsAllocated = counts.shape[1], 16
        made.WaveformSampleInterpretation, made.WaveformOriginality = "SS", "ORIGINAL"
        channels = []
        for name in ("Lead I (Einthoven)", "Lead II"):
            channel = Dataset()
            channel.ChannelSourceSequence = Sequence([coded(name, "5.6.3-9-1")])
            channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = "2.5", "1"
            channel.ChannelSensitivityUnitsSequence = Sequence([coded(unit, unit)])
            channel.ChannelBaseline, channel.WaveformBitsStored = "0", 16
            channels.append(channel)
        made.ChannelDefinitionSequence = Sequence(channels)
        made.WaveformData = counts.T.astype("<i2").tobytes()
        return made

    document = Dataset()
    document.SOPClassUID, document.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid()
    document.WaveformSequence = Sequence([group(np.zeros((2, 600)), 500), group(np.round(X * 400), 500)])
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    pydicom.dcmwrite(path / "r.dcm", document, enforce_file_format=True)
    return path / "r.dcm"


def edf(path: Path) -> Path:
    edfio = pytest.importorskip("edfio")
    labels = ("ECG I", "ECG II")
    signals = [edfio.EdfSignal(X[i], 500, label=label, physical_dimension="mV") for i, label in enumerate(labels)]
    edfio.Edf(signals).write(path / "r.edf")
    return path / "r.edf"


def ishne(path: Path) -> Path:
    """As the standard lays it out; there is no library that writes it."""
    counts = np.round(X * 400).astype("<i2")  # of 2500 nV
    codes, resolution = [5, 6, *[-9] * 10], [2500, 2500, *[-9] * 10]
    variable = b"a note of the recorder"
    text = [b"", b"", b"patient 7"], [*[0] * 14], [*codes, *[-9] * 12, *resolution]
    head = [
        b"ISHNE1.0",
        0,
        len(variable),
        1000,
        522,
        522 + len(variable),
        1,
        *text[0],
        *text[1],
        2,
        *text[2],
        0,
        b"",
        500,
    ]
    (path / "r.ecg").write_bytes(HEADER.pack(*head, b"", b"", b"") + variable + counts.T.tobytes())
    return path / "r.ecg"


def csv(path: Path) -> Path:
    table = np.column_stack([np.arange(1000) / 500, X.T])
    np.savetxt(path / "r.csv", table, delimiter=",", header="time,I,II", comments="", fmt="%.6f")
    return path / "r.csv"


def npz(path: Path) -> Path:
    np.savez(path / "r.npz", signal=X, fs=500, leads=["I", "II"], subject=np.arange(3))
    return path / "r.npz"


@pytest.mark.parametrize("write", [wfdb, dicom, edf, csv, npz, ishne])
def test_it_is_read(write: object, tmp_path: Path) -> None:
    signal, fs, leads, unit = read_recording(write(tmp_path))  # type: ignore[operator]
    np.testing.assert_allclose(signal, X, atol=2e-3)
    assert (fs, leads, unit) == (500, ("I", "II"), "mV")


def test_a_record_goes_by_its_name_too(tmp_path: Path) -> None:
    assert read_recording(wfdb(tmp_path).with_suffix("")).fs == 500


def test_samples_that_are_missing_are_nan(tmp_path: Path) -> None:
    signal = read_recording(wfdb(tmp_path, gap=True)).signal
    assert np.isnan(signal[1, 100:200]).all()
    assert np.isfinite(np.delete(signal, range(100, 200), axis=1)).all()


def test_what_a_file_does_not_say_is_given(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", X)
    with pytest.raises(UserError, match="does not say its leads: name them in the array's order with leads"):
        read_recording(tmp_path / "r.npy", fs=500)
    with pytest.raises(UserError, match="does not say its sampling rate: give it with fs"):
        read_recording(tmp_path / "r.npy", leads=["I", "II"])
    assert read_recording(tmp_path / "r.npy", 250, ["I", "II"], "uV")[1:] == (250, ("I", "II"), "uV")
    np.save(tmp_path / "one.npy", X[0])
    assert read_recording(tmp_path / "one.npy", 250, ["I"]).signal.shape == (1, 1000)
    np.save(tmp_path / "turned.npy", X.T)
    with pytest.raises(DataError, match=r"has shape \(1000, 2\), not \(2, time\) for I, II. Swap its two axes."):
        read_recording(tmp_path / "turned.npy", 250, ["I", "II"])


@pytest.mark.parametrize("suffix", [".edf", ".dcm", ".npz", ".npy", ".hea", ".h5", ".csv", ".ecg"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(b"\xff\x00\x01junk")
    with pytest.raises(DataError, match="bad"):
        read_recording(tmp_path / f"bad{suffix}", 500, ["I"])


def test_a_truncated_holter_is_refused(tmp_path: Path) -> None:
    whole = ishne(tmp_path).read_bytes()
    (tmp_path / "half.ecg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"half.ecg is truncated: it holds \d+ samples a lead, its header says 1,000"):
        read_recording(tmp_path / "half.ecg")


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_recording(tmp_path / "none.edf")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"is no file of .hea, .npy"):
        read_recording(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="the unit mmHg is no voltage"):
        read_recording(dicom(tmp_path, "mmHg"))


def test_real_ones(shared_data: Path) -> None:
    one = read_recording(shared_data / "ecg-id" / "Person_01" / "rec_1")
    assert (one.fs, one.leads, one.signal.shape) == (500, ("I", "I filtered"), (2, 10000))
    twelve = read_recording(shared_data / "cinc2021-sample" / "E07500.hea")
    assert (twelve.fs, len(twelve.leads), twelve.signal.shape) == (500, 12, (12, 5000))

"""Reading WFDB files: every common format, and no damage that ends in anything but a `DataError`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg.data.wfdb_io import Header, read_annotations, read_beats, read_header, read_signal
from ssl_ecg.errors import DataError

SIGNAL = np.random.default_rng(0).normal(0, 0.3, (1001, 3))  # mV; an odd number of samples


def write(folder: Path, fmt: str = "212", unit: str = "mV", scale: float = 1.0) -> Path:
    wfdb.wrsamp(
        "r1", 250, [unit] * 3, ["I", "II", "aVR"], SIGNAL * scale, fmt=[fmt] * 3, adc_gain=[400 / scale] * 3,
        baseline=[20] * 3, comments=["Age: 61", "Dx: 426783006"], write_dir=str(folder),
    )  # fmt: skip
    wfdb.wrann("r1", "atr", np.array([5, 400, 990]), ["N", "V", "+"], write_dir=str(folder))
    return folder / "r1.hea"


@pytest.mark.parametrize("fmt", ["16", "24", "32", "212"])
def test_formats(fmt: str, tmp_path: Path) -> None:
    header = read_header(write(tmp_path, fmt))
    assert (header.record, header.fs, header.leads) == ("r1", 250.0, ("I", "II", "aVR"))
    assert (header.n_samples, header.comments) == (1001, ("Age: 61", "Dx: 426783006"))
    signal, notes = read_signal(header)
    assert notes == ()
    assert signal.dtype == np.float32
    assert signal.flags.c_contiguous
    np.testing.assert_allclose(signal, SIGNAL.T, atol=0.5 / 400 + 1e-6)
    (tmp_path / "r1.dat").write_bytes((tmp_path / "r1.dat").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"r1\.dat is truncated"):
        read_header(tmp_path / "r1.hea")


@pytest.mark.parametrize(("unit", "scale"), [("mV", 1.0), ("uV", 1e3), ("V", 1e-3)])
def test_volts_become_millivolts(unit: str, scale: float, tmp_path: Path) -> None:
    signal, _ = read_signal(read_header(write(tmp_path, "16", unit, scale)))
    np.testing.assert_allclose(signal, SIGNAL.T, atol=0.5 / 400 + 1e-6)


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_a_checksum_that_does_not_match(fmt: str, tmp_path: Path) -> None:
    path = write(tmp_path, fmt)
    first, *rest = path.read_text().splitlines()
    fields = rest[0].split(" ")

    def with_checksum(value: str) -> Header:
        path.write_text("\n".join([first, " ".join([*fields[:6], value, *fields[7:]]), *rest[1:]]) + "\n")
        return read_header(path)

    right, _ = read_signal(with_checksum(fields[6]))
    with pytest.raises(DataError, match=r"r1\.dat, lead I: the samples do not match the checksum in r1\.hea"):
        read_signal(with_checksum("77"))
    for checksum, strict, why in (
        ("77", False, "is not that of the samples"),
        ("0", False, "is 0"),
        ("0", True, "is 0"),
    ):
        signal, (note,) = read_signal(with_checksum(checksum), strict=strict)
        np.testing.assert_array_equal(signal, right)
        assert f"r1.dat, lead I: the checksum in r1.hea {why}" in note


def test_of_beats_at_one_sample_the_first_is_kept_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    wfdb.wrann("r1", "atr", np.array([5, 400, 400, 400, 990]), list("N+VNV"), write_dir=str(tmp_path))
    beats, (note,) = read_beats(tmp_path / "r1.atr", 1001, {"N": "N", "V": "ectopic"})
    assert (beats.samples.tolist(), beats.labels.tolist()) == ([5, 400, 990], ["N", "ectopic", "ectopic"])
    assert "r1.atr: 1 beat(s) at the sample of another, the first at 400: left out" in note
    beats, notes = read_beats(tmp_path / "r1.atr", 1001, None)
    assert (beats.samples.tolist(), set(beats.labels.tolist()), len(notes)) == ([5, 400, 990], {""}, 1)


def test_annotations(tmp_path: Path) -> None:
    write(tmp_path)
    samples, symbols = read_annotations(tmp_path / "r1.atr", 1001)
    assert samples.tolist() == [5, 400, 990]
    assert symbols.tolist() == ["N", "V", "+"]
    with pytest.raises(DataError, match=r"r1\.atr does not fit its record of 990 samples"):
        read_annotations(tmp_path / "r1.atr", 990)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole"))


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["hea", "dat", "atr"]),
    start=st.floats(0, 1),
    length=st.integers(0, 12),
    junk=st.binary(max_size=12),
)
def test_whatever_the_damage_the_answer_is_a_data_error(
    kind: str, start: float, length: int, junk: bytes, whole: Path
) -> None:
    """Some bytes are replaced by others: the record reads, or is refused, but nothing else happens."""
    folder = whole.parent / "damaged"
    folder.mkdir(exist_ok=True)
    for suffix in ("hea", "dat", "atr"):
        content = whole.with_suffix(f".{suffix}").read_bytes()
        at = int(start * len(content))
        damaged = content[:at] + junk + content[at + length :]
        (folder / f"r1.{suffix}").write_bytes(damaged if suffix == kind else content)
    try:
        header = read_header(folder / "r1.hea")
        signal, _ = read_signal(header)
        samples, _ = read_annotations(folder / "r1.atr", header.n_samples)
    except DataError as error:
        assert str(folder / "r1.") in str(error)  # noqa: PT017
    else:
        assert signal.shape == (len(header.leads), header.n_samples)
        assert np.isfinite(signal).all()
        assert (samples < header.n_samples).all()

"""Arrays in files of every kind that is read, the same signals in each."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import edfio
import h5py
import numpy as np
import pytest

from ssl_ecg.data.build import build
from ssl_ecg.data.sources import Arrays
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

LEADS = ("I", "II", "V1")
X = np.random.default_rng(0).normal(0, 0.5, (4, 3, 500)).astype(np.float32)


def opened(path: Path, fs: float | None = 250, leads: tuple[str, ...] | None = LEADS, **settings: Any) -> Arrays:
    source = Arrays(str(path), fs, leads, **settings)
    source.ensure()
    return source


def write_hdf5(path: Path, **arrays: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, x in arrays.items():
            file[name] = x


def write_edf(
    path: Path, *, labels: tuple[str, ...] = LEADS, units: str = "mV", fs: tuple[float, ...] = (250,)
) -> None:
    rates = fs * len(labels) if len(fs) == 1 else fs
    signals = [
        edfio.EdfSignal(np.resize(x, int(2 * rate)).astype(float), rate, label=label, physical_dimension=units)
        for x, rate, label in zip(X[0], rates, labels, strict=False)
    ]
    edfio.Edf(signals).write(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".hdf5"])
@pytest.mark.parametrize("many", [True, False])
def test_arrays_of_one_and_of_many_recordings(suffix: str, many: bool, tmp_path: Path) -> None:
    path, x = tmp_path / f"ecg{suffix}", X if many else X[0]
    if suffix == ".npy":
        np.save(path, x)
    elif suffix == ".npz":
        np.savez_compressed(path, x)
    else:
        write_hdf5(path, tracings=x)
    source = opened(path)
    assert source.records == (["ecg/0", "ecg/1", "ecg/2", "ecg/3"] if many else ["ecg"])
    for r, signal in zip(source.recordings(), X, strict=False):
        np.testing.assert_array_equal(r.signal, signal)
        assert r.signal.dtype == np.float32
        assert r.signal.flags.writeable
        assert (r.fs, r.leads) == (250, LEADS)
        assert r.patient == r.record
    assert source.leads == LEADS


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.float16])
def test_units_become_mv_whatever_the_numbers_are(dtype: type, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", (X[0] * 100).round().astype(dtype))
    signal = opened(tmp_path / "x.npy", unit="uV").read(0).signal
    np.testing.assert_allclose(signal, (X[0] * 100).round() / 1000, rtol=1e-6)


def test_large_files_are_mapped_and_not_read(tmp_path: Path) -> None:
    """A file of 60 GB, all of it a hole: reading it whole would take the memory of ten machines."""
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float32, (1_000_000, 3, 5000))
    x[999_999, 1, :3] = 1, 2, 3
    x.flush()
    del x
    source = opened(path)
    assert len(source) == 1_000_000
    assert source.read(999_999).signal[1, :4].tolist() == [1, 2, 3, 0]
    assert source.fingerprint() == opened(path).fingerprint()


def test_csv_with_and_without_names(tmp_path: Path) -> None:
    rows = "\n".join(",".join(f"{v:.9g}" for v in row) for row in X[0].T)
    (tmp_path / "a.csv").write_text(rows + "\n")
    (tmp_path / "b.csv").write_text("I, II, V1\n" + rows + "\n")
    a, b = opened(tmp_path).recordings()
    np.testing.assert_array_equal(a.signal, X[0])
    np.testing.assert_array_equal(b.signal, X[0])
    named = opened(tmp_path / "b.csv", leads=None)
    assert named.read(0).leads == named.leads == LEADS
    picked = opened(tmp_path / "b.csv", leads=("V1", "MLII")).read(0)
    np.testing.assert_array_equal(picked.signal, X[0][[2, 1]])
    with pytest.raises(DataError, match=r"a\.csv has 3 columns, but `leads` has 2"):
        opened(tmp_path / "a.csv", leads=("I", "II")).read(0)
    with pytest.raises(DataError, match=r"a\.csv has no names above its columns: say what its 3 leads are"):
        opened(tmp_path / "a.csv", leads=None)
    with pytest.raises(DataError, match=r"b\.csv has no lead V6; it has I, II, V1"):
        opened(tmp_path / "b.csv", leads=("V6",)).read(0)
    (tmp_path / "a.csv").write_text("I,II\n1,two\n")
    with pytest.raises(DataError, match=r"a\.csv is not a readable CSV file of numbers"):
        opened(tmp_path / "a.csv").read(0)


def test_edf_says_its_rate_leads_and_units(tmp_path: Path) -> None:
    write_edf(tmp_path / "x.edf", labels=("ECG I", "EKG II", "V1"), units="uV")
    source = opened(tmp_path / "x.edf", None, None)
    r = source.read(0)
    assert (r.fs, r.leads, source.leads) == (250, LEADS, LEADS)
    np.testing.assert_allclose(r.signal, X[0] / 1000, atol=1e-7)  # 16 bits over the range
    assert opened(tmp_path / "x.edf", 250, ("V1",)).read(0).leads == ("V1",)
    with pytest.raises(DataError, match=r"x\.edf was sampled at 250 Hz, not at 500\. Leave fs out"):
        opened(tmp_path / "x.edf", 500, None).read(0)
    with pytest.raises(DataError, match=r"x\.edf has no lead V2; it has I, II, V1"):
        opened(tmp_path / "x.edf", None, ("V2",)).read(0)


def test_a_unit_that_is_not_ascii_is_read(tmp_path: Path) -> None:
    write_edf(tmp_path / "x.edf", units="uV")
    content = (tmp_path / "x.edf").read_bytes()
    (tmp_path / "x.edf").write_bytes(content.replace(b"uV      ", b"\xb5V      "))
    np.testing.assert_allclose(opened(tmp_path / "x.edf", None, None).read(0).signal, X[0] / 1000, atol=1e-7)


def test_edf_with_gaps_is_refused(tmp_path: Path) -> None:
    write_edf(tmp_path / "x.edf")
    content = (tmp_path / "x.edf").read_bytes()
    (tmp_path / "x.edf").write_bytes(content[:192] + b"EDF+D" + content[197:])
    with pytest.raises(DataError, match=r"x\.edf has gaps \(EDF\+D\)"):
        opened(tmp_path / "x.edf").read(0)


def test_edf_of_more_than_ecg_needs_its_leads_named(tmp_path: Path) -> None:
    write_edf(tmp_path / "x.edf", labels=("I", "II", "Pleth"), fs=(250, 250, 50))
    with pytest.raises(DataError, match=r"has sampling rates of .* Hz\. Take leads of one rate, with `leads`"):
        opened(tmp_path / "x.edf", None, None)
    assert opened(tmp_path / "x.edf", None, ("I", "II")).read(0).signal.shape == (2, 500)
    write_edf(tmp_path / "x.edf", units="mmHg")
    with pytest.raises(DataError, match=r"'mmHg' is no voltage"):
        opened(tmp_path / "x.edf", None, None)
    (tmp_path / "x.edf").write_bytes((tmp_path / "x.edf").read_bytes()[:300])
    with pytest.raises(DataError, match=r"x\.edf is not a readable EDF file"):
        opened(tmp_path / "x.edf", None, None)


def test_a_folder_holds_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    np.save(tmp_path / "ward" / "b.npy", X[:2])
    write_edf(tmp_path / "a.edf")
    np.save(tmp_path / "c.npy", X[2])
    (tmp_path / "readme.txt").write_text("no signal")
    (tmp_path / "labels.csv").write_text("record,patient,label\nward/b/1,anna,AF\nc,anna,AF|N\n")
    source = opened(tmp_path, labels=str(tmp_path / "labels.csv"))
    assert source.records == ["a", "c", "ward/b/0", "ward/b/1"]
    a, c, b0, b1 = source.recordings()
    for r, x in ((a, X[0]), (c, X[2]), (b0, X[0]), (b1, X[1])):
        np.testing.assert_allclose(r.signal, x, atol=1e-4)
    assert [r.patient for r in (a, c, b0, b1)] == ["a", "anna", "ward/b/0", "anna"]
    assert (c.labels, source.classes, source.multilabel) == (("AF", "N"), ("AF", "N"), True)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.h5"])
def test_what_a_file_does_not_say_is_asked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=rf"{name} does not say its sampling rate: give it with fs"):
        opened(tmp_path / name, fs=None)
    with pytest.raises(UserError, match=rf"{name} does not say its leads: name them"):
        opened(tmp_path / name, leads=None)
    with pytest.raises(UserError, match="fs must be positive"):
        opened(tmp_path / name, fs=-1)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (4, 500, 3),
            r"has shape \(4, 500, 3\), not \(recordings, 3, time\) or \(3, time\) .* np\.swapaxes\(x, -1, -2",
        ),
        ((500, 3), r"has shape \(500, 3\), .* np\.swapaxes\(x, -1, -2\)"),
        ((4, 2, 500), r"has shape \(4, 2, 500\), .* for the leads I, II, V1\. Name its leads, or reshape it"),
        ((500,), r"has shape \(500,\), .* Name its leads, or reshape it"),
    ],
)
def test_axes_in_another_order_are_refused_with_the_remedy(
    shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(DataError, match=message):
        opened(tmp_path / "x.npy")


def test_one_of_several_arrays_is_named(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "x.h5", **{"a/ecg": X, "ids": np.arange(4)})
    np.savez(tmp_path / "x.npz", ecg=X, ids=np.arange(4))
    assert len(opened(tmp_path / "x.h5", dataset="a/ecg")) == len(opened(tmp_path / "x.npz", dataset="ecg")) == 4
    for name in ("x.h5", "x.npz"):
        with pytest.raises(
            DataError, match=r"name the array with `dataset`; of numbers it has .*ecg \(4, 3, 500\), ids"
        ):
            opened(tmp_path / name)


def test_a_file_that_does_not_fit_hinders_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"damaged")
    np.save(tmp_path / "b.npy", X.swapaxes(1, 2))
    np.save(tmp_path / "c.npy", X)
    (tmp_path / "d.edf").write_bytes(b"damaged")
    source = opened(tmp_path)
    assert source.records == ["a", "b", "c/0", "c/1", "c/2", "c/3", "d"]
    for number, message in ((0, r"a\.npy is not a readable"), (1, r"b\.npy has shape"), (6, r"d\.edf is not a read")):
        with pytest.raises(DataError, match=message):
            source.read(number)
    np.testing.assert_array_equal(source.read(4).signal, X[2])


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.h5"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(DataError, match=rf"{name} is not a readable"):
        opened(tmp_path / name)


def test_no_objects_are_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy is not a readable NumPy file"):
        opened(tmp_path / "x.npy")


def test_a_path_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no files \.npy, "):
        opened(tmp_path)
    with pytest.raises(DataError, match=r"none is missing"):
        opened(tmp_path / "none")


@pytest.mark.parametrize("module", ["h5py", "edfio"])
def test_what_has_to_be_installed_is_named(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ("x.h5" if module == "h5py" else "x.edf")
    path.touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"install {module}: pip install 'ssl-ecg\[files\]'"):
        opened(path)


def test_fingerprint_follows_content_and_settings_and_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", X)
    before = opened(tmp_path / "a").fingerprint()
    (tmp_path / "a").rename(tmp_path / "b")
    assert opened(tmp_path / "b").fingerprint() == before
    others = [
        opened(tmp_path / "b", fs=500),
        opened(tmp_path / "b", unit="uV"),
        opened(tmp_path / "b", leads=tuple("abc")),
    ]
    np.save(tmp_path / "b" / "x.npy", X[::-1])  # as many bytes
    prints = [str(before), *(str(other.fingerprint()) for other in others), str(opened(tmp_path / "b").fingerprint())]
    assert len(set(prints)) >= 4
    assert prints[-1] not in prints[:-1]


def test_a_source_survives_pickling(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "x.h5", ecg=X)
    source = opened(tmp_path / "x.h5")
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.read(3).signal, source.read(3).signal)


def test_an_archive_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for time, x in enumerate((X, X[:, :, ::-1])):
        np.savez(path, x)
        os.utime(path, (time, time))
        np.testing.assert_array_equal(opened(path).read(1).signal, x[1])


def test_it_can_be_prepared(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    store = build(opened(tmp_path / "x.npy"), Preprocessing(leads=("V1", "III")), cache=tmp_path / "cache")
    assert store.records["record"].tolist() == ["x/0", "x/1", "x/2", "x/3"]
    assert set(store.records["length"]) == {200}

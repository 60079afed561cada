"""The edge from the wheel, in an environment with two extras alone: exported, streamed, monitored and delineated."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from empty_environment import ask, environment

pytestmark = pytest.mark.slow

DEVICE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from runtime import ExportedEncoder
from ssl_ecg import load_encoder
from ssl_ecg.data.recording import read_recording
signal, fs, leads, unit = read_recording(sys.argv[2])
device = ExportedEncoder(sys.argv[1])
expected = np.asarray(load_encoder("ecg1-tiny-v1")(signal, fs, leads, unit=unit))
print(abs(device(signal, fs, leads, unit) - expected).max())
"""

STREAM = """
import sys
import numpy as np
from ssl_ecg import StreamingEncoder
from ssl_ecg.data.recording import read_recording
signal, fs, leads, unit = read_recording(sys.argv[1])
def embeddings(pieces):
    stream = StreamingEncoder("ecg1-v1", fs=fs, leads=leads[:1], unit=unit)
    minute = np.asarray(signal)[:1, : round(60 * fs)]
    hops = [hop for chunk in np.array_split(minute, pieces, axis=1) for hop in stream.push(chunk)]
    return np.stack([hop.embedding for hop in [*hops, *stream.finish()]])
print(*embeddings(7).shape, np.array_equal(embeddings(7), embeddings(300)))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, its requirements, and those of the two extras."""
    return environment(tmp_path_factory.mktemp("edge"), "train", "export")


def said(python: Path, *arguments: str, cwd: Path) -> str:
    done = ask(python, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_exported_encoder_answers_as_the_checkpoint_does(python: Path, shared_data: Path, tmp_path: Path) -> None:
    said(python, "-m", "ssl_ecg.export", "ecg1-tiny-v1", "--out", str(tmp_path / "out"), cwd=tmp_path)
    record = str(shared_data / "ecg-id" / "Person_01" / "rec_1.hea")
    assert float(said(python, "-c", DEVICE, str(tmp_path / "out"), record, cwd=tmp_path)) < 1e-4


def test_a_stream_gives_the_same_however_it_is_cut(python: Path, mitdb: Path, tmp_path: Path) -> None:
    hops, dimensions, same = said(python, "-c", STREAM, str(mitdb / "100.hea"), cwd=tmp_path).split()
    assert int(hops) >= 55 and int(dimensions) == 480 and same == "True"


def test_a_tape_is_monitored(python: Path, mitdb: Path, tmp_path: Path) -> None:
    said(python, "-m", "ssl_ecg.monitor", str(mitdb / "200"), "--out", str(tmp_path / "out"), cwd=tmp_path)
    folder = tmp_path / "out" / "200"
    assert 2_500 < pq.read_metadata(folder / "beats.parquet").num_rows < 2_700  # 2,601 are annotated
    assert "data:image/png" in (folder / "report.html").read_text()
    assert json.loads((folder / "summary.json").read_text())


def test_waves_of_recordings_are_found(python: Path, shared_data: Path, tmp_path: Path) -> None:
    files = shared_data / "ecg-id" / "Person_01"
    found = said(
        *(python, "-m", "ssl_ecg.delineate", "ecg1-v1", "--files", str(files), "--out", str(tmp_path / "waves")),
        cwd=tmp_path,
    )
    assert "rec_1" in found and list((tmp_path / "waves").rglob("*.parquet"))

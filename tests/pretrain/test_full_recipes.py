"""The recipes for whole data sets do their steps, on some recordings of each source in its official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from data.test_code15 import write as write_code15
from data.test_mimic import COLUMNS, folder

from ssl_ecg import pretrain
from ssl_ecg.checkpoint import load_encoder
from ssl_ecg.leads import STANDARD_12

FULL = Path(__file__).parents[2] / "experiments" / "recipes" / "full"
FEW = 24


def few(table: str, whole: Path, root: Path) -> Path:
    """The same data set with the first lines of its table."""
    root.mkdir()
    for file in whole.iterdir():
        if file.name != table:
            (root / file.name).symlink_to(file)
    lines = (whole / table).read_text().splitlines(keepends=True)
    (root / table).write_text("".join(lines[:FEW]))
    return root


def write_mimic(root: Path, sample: Path) -> Path:
    """MIMIC-IV-ECG's layout, of the signals of another data set."""
    rows = []
    for number, header in enumerate(sorted(sample.rglob("*.hea"))[:6]):
        record, subject, study = wfdb.rdrecord(str(header.with_suffix(""))), 10000032 + number, 40689238 + number
        place = root / folder(subject, study)
        place.mkdir(parents=True)
        wfdb.wrsamp(
            str(study), fs=record.fs, units=["mV"] * 12, sig_name=record.sig_name, p_signal=record.p_signal[:5000],
            fmt=["16"] * 12, adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str(place),
        )  # fmt: skip
        rows.append(f"{subject},{study},{study},2180-07-23 08:44:00,{folder(subject, study)}/{study}\n")
    (root / "record_list.csv").write_text(COLUMNS + "".join(rows))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ecg1", "ecg12"])
def test_a_recipe_of_whole_data_sets_runs(name: str, shared_data: Path, tmp_path: Path) -> None:
    write_code15(tmp_path / "code-15", [(1000 + n, n, n % 2, "AF", "60", "True") for n in range(8)])
    (tmp_path / "challenge-2021").mkdir()
    for file in sorted((shared_data / "cinc2021-sample").glob("E*"))[:16]:
        (tmp_path / "challenge-2021" / file.name).symlink_to(file)
    roots = {
        "PTBXL": few("ptbxl_database.csv", shared_data / "ptb-xl-raw", tmp_path / "ptb-xl"),
        "CinC2021": tmp_path / "challenge-2021",
        "CODE15": tmp_path / "code-15",
        "MIMIC": write_mimic(tmp_path / "mimic", shared_data / "cinc2021-sample"),
    }
    if name == "ecg1":
        roots["CinC2017"] = few("REFERENCE-v3.csv", shared_data / "cinc2017", tmp_path / "cinc2017")
    given = [f"--data.{source}.root={root}" for source, root in roots.items()]
    given += ["--method.encoder.width=8", "--method.encoder.context=8", "--trainer.precision=32-true"]
    given += ["--trainer.max_epochs=1", "--batch_size=32", "--probe_every=100"]
    pretrain.main([f"--config={FULL / name}.yaml", *given, f"--out={tmp_path}", "--name=run", f"--cache={tmp_path}/c"])
    encoder = load_encoder(tmp_path / "run")
    assert encoder.saw("MIMIC", [str(10000032 + n) for n in range(6)]) and not encoder.saw("MIMIC", ["1"])
    z = encoder(np.random.default_rng(0).normal(size=(12, 5000)), 500, STANDARD_12)
    assert np.isfinite(np.asarray(z)).all()

"""MIT-BIH Noise Stress Test Database: two records of MIT-BIH with noise added, from hardly any to more than signal."""

from __future__ import annotations

from ssl_ecg.data.holter import Holter
from ssl_ecg.data.source import Split


class NSTDB(Holter):
    """MIT-BIH Noise Stress Test Database 1.0.0: 12 records, 360 Hz, half an hour each, two leads.

    Records 118 and 119 of the MIT-BIH Arrhythmia Database, each with electrode motion added at six
    signal-to-noise ratios: `118e24` at 24 dB to `118e_6` at -6 dB. Noise comes and goes: none in the first five
    minutes, then two minutes with and two without. Beats in the AAMI classes, as in the originals. The three
    records of noise alone (bw, em, ma) are left out.

    Its patients are those of MIT-BIH, where both are for training: an encoder pretrained on DS1 has seen them
    both, and one that has not is what it stresses. Here 118 is for training and 119 for the test: two patients
    can say how noise tells, and no more.

    References:
        Moody, Muldrow and Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 11, 1984.
        https://physionet.org/content/nstdb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `118e24.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 25 MB). If false, records whose files are
            missing are left out and reported.
    """

    database = "nstdb/1.0.0"
    title = "the MIT-BIH Noise Stress Test Database"
    fs = 360.0
    expected = "360 Hz"
    without = frozenset({"bw", "em", "ma"})
    cohort = "MITBIH"

    def __init__(self, root: str = "data/nstdb", download: bool = True) -> None:
        super().__init__(root, download)

    def patient(self, record: str) -> str:
        """Whose a record is: 118 or 119."""
        return record[:3]

    def split(self, record: str) -> Split:
        """The side a record is on."""
        return "train" if self.patient(record) == "118" else "test"

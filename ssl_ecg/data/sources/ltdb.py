"""MIT-BIH Long-Term ECG Database: seven tapes of 14 to 22 hours."""

from __future__ import annotations

from ssl_ecg.data.holter import Holter


class LTDB(Holter):
    """MIT-BIH Long-Term ECG Database 1.0.0: 7 patients, 128 Hz, 14 to 22 hours each, two leads.

    Some 670,000 beats in the AAMI classes N, S, V and F, a tenth of them V.

    The headers call the channels ECG1 and ECG2 and do not say where the electrodes were; where they have no
    gain, 200 units are taken for a mV, as everybody takes them. There is no official split (see `Holter`).

    References:
        Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 101(23), 2000.
        https://physionet.org/content/ltdb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `14046.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 180 MB). If false, records whose files are
            missing are left out and reported.
        lead_names: what to call the two channels, in their order, instead of ECG1 and ECG2: [II, V1], say, to
            use an encoder of those leads, at your own risk.
    """

    database = "ltdb/1.0.0"
    title = "the MIT-BIH Long-Term ECG Database"
    fs = 128.0
    expected = "128 Hz"
    leads = ("ECG1", "ECG2")

    def __init__(
        self, root: str = "data/ltdb", download: bool = True, lead_names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(root, download, lead_names)

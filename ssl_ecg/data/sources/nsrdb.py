"""MIT-BIH Normal Sinus Rhythm Database: 18 day-long tapes without significant arrhythmia."""

from __future__ import annotations

from ssl_ecg.data.holter import Holter


class NSRDB(Holter):
    """MIT-BIH Normal Sinus Rhythm Database 1.0.0: 18 patients, 128 Hz, about a day each, two leads.

    Of 1.7 million beats in the AAMI classes N, S, V and F hardly more than a hundred are not N: a data set of
    healthy hearts, not one to tell classes apart. In most records the beats end hours before the signal does.

    The headers call the channels ECG1 and ECG2, do not say where the electrodes were, and have no gain: 200
    units are taken for a mV, as everybody takes them. There is no official split (see `Holter`).

    References:
        Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 101(23), 2000.
        https://physionet.org/content/nsrdb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `16265.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 600 MB). If false, records whose files are
            missing are left out and reported.
        lead_names: what to call the two channels, in their order, instead of ECG1 and ECG2: [II, V1], say, to
            use an encoder of those leads, at your own risk.
    """

    database = "nsrdb/1.0.0"
    title = "the MIT-BIH Normal Sinus Rhythm Database"
    fs = 128.0
    expected = "128 Hz"
    leads = ("ECG1", "ECG2")

    def __init__(
        self, root: str = "data/nsrdb", download: bool = True, lead_names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(root, download, lead_names)

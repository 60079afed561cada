"""MIT-BIH Supraventricular Arrhythmia Database: 78 half-hour tapes chosen for supraventricular ectopy."""

from __future__ import annotations

from ssl_ecg.data.holter import Holter


class SVDB(Holter):
    """MIT-BIH Supraventricular Arrhythmia Database 1.0.0: 78 records, 128 Hz, half an hour each, two leads.

    Beats in the AAMI classes N, S, V and F; the many S, some 12,000, are what it was made for.

    The headers call the channels ECG1 and ECG2 and do not say where the electrodes were; many have no gain, and
    are taken as 200 units per mV, as everybody takes them. Nothing is known of the patients, not even how many
    there are: each record counts as a patient of its own. There is no official split (see `Holter`).

    References:
        Greenwald, Improved detection and classification of arrhythmias in noise-corrupted electrocardiograms
        using contextual information, Harvard/MIT, 1990. https://physionet.org/content/svdb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `800.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 55 MB). If false, records whose files are
            missing are left out and reported.
        lead_names: what to call the two channels, in their order, instead of ECG1 and ECG2: [II, V1], say, to
            use an encoder of those leads, at your own risk.
    """

    database = "svdb/1.0.0"
    title = "the MIT-BIH Supraventricular Arrhythmia Database"
    fs = 128.0
    expected = "128 Hz"
    leads = ("ECG1", "ECG2")

    def __init__(
        self, root: str = "data/svdb", download: bool = True, lead_names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(root, download, lead_names)

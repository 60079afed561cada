"""MIT-BIH Atrial Fibrillation Database: 23 ten-hour tapes with every change of rhythm marked."""

from __future__ import annotations

import numpy as np

from ssl_ecg.data.holter import Holter
from ssl_ecg.data.source import Beats, Spans
from ssl_ecg.data.wfdb_header import Header
from ssl_ecg.data.wfdb_io import read_annotations, read_rhythms
from ssl_ecg.errors import DataError


class AFDB(Holter):
    """MIT-BIH Atrial Fibrillation Database 1.0.0: 23 patients, 250 Hz, ten hours each, two leads.

    The task is the rhythm: N (sinus, and all that is none of the others), AFIB (atrial fibrillation), AFL
    (atrial flutter) and J (AV junctional), marked by hand. The last rhythm of a record ends with its last beat:
    the signal goes on for some 14 minutes that nobody annotated. Beats have no class: a program found them and
    nobody checked.

    Two more records, 00735 and 03665, have annotations but no signals, and are left out. The headers call the
    channels ECG1 and ECG2, do not say where the electrodes were, and have no gain: 200 units are taken for a
    mV, as everybody takes them. There is no official split (see `Holter`).

    References:
        Moody and Mark, A new method for detecting atrial fibrillation using R-R intervals, Computers in
        Cardiology 10, 1983. https://physionet.org/content/afdb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `04015.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 640 MB). If false, records whose files are
            missing are left out and reported.
        lead_names: what to call the two channels, in their order, instead of ECG1 and ECG2: [II, V1], say, to
            use an encoder of those leads, at your own risk.
    """

    database = "afdb/1.0.0"
    title = "the MIT-BIH Atrial Fibrillation Database"
    fs = 250.0
    expected = "250 Hz"
    leads = ("ECG1", "ECG2")
    classes = ("N", "AFIB", "AFL", "J")
    task = "rhythm"
    without = frozenset({"00735", "03665"})
    suffixes = ("hea", "dat", "atr", "qrs")

    def __init__(
        self, root: str = "data/afdb", download: bool = True, lead_names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(root, download, lead_names)

    def beats(self, header: Header) -> Beats:
        """The beats of a record, all without a class."""
        path = header.path.with_suffix(".qrs")
        samples, _ = read_annotations(path, header.n_samples)
        if not samples.size:
            raise DataError(f"{path} has no beats. Delete it and fetch it again.")
        return Beats(samples, np.full(samples.shape, "", dtype=np.str_))

    def spans(self, header: Header) -> Spans:
        """The rhythms of a record, until its last beat."""
        last = int(self.beats(header).samples[-1])
        path = header.path.with_suffix(".atr")
        rhythms = read_rhythms(path, header.n_samples)
        if not rhythms.start.size:
            raise DataError(f"{path} has no rhythms. Delete it and fetch it again.")
        before = rhythms.start <= last
        return Spans(
            rhythms.start[before],
            np.minimum(rhythms.end[before], last + 1),
            rhythms.labels[before],
            rhythms.leads[before],
        )

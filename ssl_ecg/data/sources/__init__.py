"""Data sets. A new one is a class in a file, and a line here."""

from ssl_ecg.data.source import Source
from ssl_ecg.data.sources.arrays import Arrays
from ssl_ecg.data.sources.cinc2017 import CinC2017
from ssl_ecg.data.sources.cinc2021 import CinC2021
from ssl_ecg.data.sources.code15 import CODE15
from ssl_ecg.data.sources.ecgid import ECGID
from ssl_ecg.data.sources.holter import AFDB, LTDB, NSRDB, NSTDB, SVDB
from ssl_ecg.data.sources.ludb import LUDB
from ssl_ecg.data.sources.mimic import MIMIC
from ssl_ecg.data.sources.mitbih import MITBIH
from ssl_ecg.data.sources.mixture import Mixture
from ssl_ecg.data.sources.prepared import Prepared
from ssl_ecg.data.sources.ptbxl import PTBXL
from ssl_ecg.data.sources.qtdb import QTDB
from ssl_ecg.data.sources.simulated import Simulated
from ssl_ecg.data.sources.wfdb_folder import WFDBFolder

__all__ = [
    "AFDB", "CODE15", "ECGID", "LTDB", "LUDB", "MIMIC", "MITBIH", "NSRDB", "NSTDB", "PTBXL", "QTDB", "SVDB", "Arrays",
    "CinC2017", "CinC2021", "Mixture", "Prepared", "Simulated", "Source", "WFDBFolder",
]  # fmt: skip

"""P, QRS and T: from an encoder's maps to the waves of each lead, what several questions share.

A head says how likely each phase of a heartbeat is at each sample; the waves are the most likely path through them.
"""

from ssl_ecg.waves.find import find_waves
from ssl_ecg.waves.head import Head, load_head, save_head
from ssl_ecg.waves.matching import Found
from ssl_ecg.waves.stream import StreamingWaves

__all__ = ["Found", "Head", "StreamingWaves", "find_waves", "load_head", "save_head"]

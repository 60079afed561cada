"""Who is fitted on, who is scored, and beside what: the same for every evaluation.

study = open_study("runs/simclr-mitbih", MITBIH("data/mitdb"))
for system in systems(study):                      # pretrained, untrained, raw PCA, RR alone, hand features, ...
    train, test = system.features(study.train), system.features(study.test)
"""

from ssl_ecg.study.study import Study, open_study, open_whole
from ssl_ecg.study.systems import System, check_names, systems

__all__ = ["Study", "System", "check_names", "open_study", "open_whole", "systems"]

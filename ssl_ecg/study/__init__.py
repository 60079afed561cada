"""What is fitted on, what is scored, and the baselines: the same for every evaluation.

study = open_study("runs/simclr-mitbih", MITBIH("data/mitdb"))
for system in systems(study):                      # pretrained, untrained, raw PCA, RR alone, hand features, ...
    train, test = system.features(study.train), system.features(study.test)
"""

from ssl_ecg.study.study import Study, check_few_labels, open_study, open_whole
from ssl_ecg.study.systems import System, check_names, systems

__all__ = ["Study", "System", "check_few_labels", "check_names", "open_study", "open_whole", "systems"]

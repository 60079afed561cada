"""The simulated heart: when it beats, what shape it draws, how that reaches the skin, and what disturbs it.

All of it works on a batch of records at once and in one direction::

    draws -> rhythm (when) + morphology (what shape) -> dipole (leads) + noise
"""

CLASSES = ("NORM", "SBRAD", "STACH", "AFIB", "PVC", "LBBB", "RBBB", "STE")

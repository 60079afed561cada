"""The simulated heart of many records: draws -> rhythm (when) + morphology (what shape) -> dipole (leads) + noise."""

CLASSES = ("NORM", "SBRAD", "STACH", "AFIB", "PVC", "LBBB", "RBBB", "STE")

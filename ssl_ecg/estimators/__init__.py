"""Arrays in, models out: linear probe, kNN, PCA, samples of patients."""

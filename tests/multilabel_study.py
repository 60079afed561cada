"""A study that several test files use: classes that do not exclude each other, of unequal frequency."""

import numpy as np

CLASSES = ("NORM", "MI", "HYP")


def records(n=600, d=10, n_patients=150, seed=0):
    """Features (n, d), targets (n, 3) and patients (n,); some records have several classes, some none."""
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, n_patients, n)
    hidden = rng.normal(size=(n, 3)) + 0.5 * rng.normal(size=(n_patients, 3))[patients]
    targets = hidden > np.array([0.0, 0.9, 1.8])
    x = np.concatenate([hidden + rng.normal(size=(n, 3)), rng.normal(size=(n, d - 3))], axis=1)
    x = x @ rng.normal(size=(d, d)) * np.geomspace(0.01, 100, d) + 5
    return x.astype(np.float32), targets, np.char.add("p", patients.astype(str))

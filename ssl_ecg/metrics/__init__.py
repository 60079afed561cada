"""Arrays in, scores out: single- and multi-label scores, bootstrap over patients, folds."""

"""The simulated heart of many records: draws -> heart (when it beats, its waves) -> electrodes (leads, noise)."""

"""The training loop: resume, metrics, online probe, collapse monitor, throughput."""

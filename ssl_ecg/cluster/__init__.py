"""Cluster embeddings: disease or identity?"""

from ssl_ecg.cluster.command import cluster, main

__all__ = ["cluster", "main"]

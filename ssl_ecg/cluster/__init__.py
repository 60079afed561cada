"""Cluster embeddings: disease or identity?"""

from ssl_ecg.cluster.command import Cluster, main

__all__ = ["Cluster", "main"]

"""Embed a whole data set into one file."""

from ssl_ecg.embed.command import Embed, main
from ssl_ecg.embed.embeddings import Embeddings, read_embeddings, write_embeddings
from ssl_ecg.embed.files import EmbedFiles

__all__ = ["Embed", "EmbedFiles", "Embeddings", "main", "read_embeddings", "write_embeddings"]

"""A store beyond one machine: blocks of its recordings in a folder or an object store, read through litdata."""

from ssl_ecg.data.streaming.export import export, is_streamed
from ssl_ecg.data.streaming.store import StreamedStore

__all__ = ["StreamedStore", "export", "is_streamed"]

"""The archive: waveforms, beats, events and alerts in SQLite or PostgreSQL.

`open_archive(url)` for the one that writes, `open_reader(url)` for those that read.
"""

from storage.archive import Archive, open_archive
from storage.reader import ArchivedStream, Reader, open_reader
from storage.waveforms import Envelope, Segment

__all__ = ["Archive", "ArchivedStream", "Envelope", "Reader", "Segment", "open_archive", "open_reader"]

"""The archive: waveforms, beats, events and alerts in SQLite or PostgreSQL."""

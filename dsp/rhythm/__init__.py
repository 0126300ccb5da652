"""One file per family of rhythm conditions."""

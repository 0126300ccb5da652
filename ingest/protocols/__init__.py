"""One file per device protocol, sans-I/O: bytes in, events out, bytes to send."""

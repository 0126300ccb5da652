"""A checksum in front of each block: a wrong ECG must never be shown, so a damaged block is refused."""

import zlib

from leadwire.errors import BugError


def seal(body: bytes) -> bytes:
    """`body` with its CRC-32 (4 bytes, little-endian) in front."""
    return zlib.crc32(body).to_bytes(4, "little") + body


def unseal(data: bytes, what: str) -> bytes:
    """The body in `data`.

    Raises
    ------
    BugError
        `data` is not as it was sealed; `what` says of which thing.
    """
    body = bytes(data[4:])
    if zlib.crc32(body).to_bytes(4, "little") != data[:4]:
        raise BugError(f"a damaged {what} came: {len(data)} bytes whose checksum does not fit")
    return body

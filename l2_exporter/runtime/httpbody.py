"""The body of an HTTP answer, unpacked by ourselves and never further than a limit.

What `requests` and `urllib3` unpack, and how much of it at once, depends on their version and on what else is
installed; a few kilobytes of a hostile answer can become gigabytes before either hands over the first byte.
"""

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip, deflate"
"""What a request says it can unpack."""
CHUNK_BYTES = 1 << 16

_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BodyError(ValueError):
    """A body that is too long, or packed in a way that is none of ours."""


def read_body(chunks: Iterable[bytes], encoding: str | None, limit: int) -> bytearray:
    """Put a body together.

    Args:
        chunks: as they came over the wire.
        encoding: its Content-Encoding, None if it has none.
        limit: bytes of the body, unpacked.

    Raises:
        BodyError: it is longer, or cannot be unpacked.
    """
    body = bytearray()
    for part in _unpacked(chunks, (encoding or "identity").strip().lower()):
        body += part
        if len(body) > limit:
            raise BodyError(f"the body is longer than {limit} bytes")
    return body


def _unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    if encoding == "identity":
        yield from chunks
        return
    if encoding not in _WBITS:
        raise BodyError(f"the body is packed as {encoding[:40]!r}")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        for chunk in chunks:
            while chunk and not unpacker.eof:
                yield unpacker.decompress(chunk, CHUNK_BYTES)
                chunk = unpacker.unconsumed_tail
    except zlib.error as error:
        raise BodyError(f"the body cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise BodyError("the body cannot be unpacked: it ends too early")

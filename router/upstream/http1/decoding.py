"""Takes compression off an answer that has it all the same: `identity` is asked for, not everybody listens.

gzip and deflate (RFC 9110 8.4.1); deflate without its zlib wrapper too, as many have sent it. Others are refused.
"""

from __future__ import annotations

import zlib

from router.upstream.http1.failures import BadAnswer, TooLarge

MAX_DECODED_BYTES = 64 * 1024 * 1024
"""A few kilobytes may stand for gigabytes: this is where it stops, for streams too."""

_GZIP = 16 + zlib.MAX_WBITS


class Decoder:
    """One body's encoding; `encoding` as the header has it."""

    def __init__(self, encoding: bytes):
        name = encoding.strip().lower()
        if name not in (b"gzip", b"x-gzip", b"deflate"):
            raise BadAnswer("an encoding that was not asked for", began=True)
        self._window: int | None = None if name == b"deflate" else _GZIP
        self._inflate = zlib.decompressobj(_GZIP)
        self._room = MAX_DECODED_BYTES
        self._began = False

    def decode(self, data: bytes) -> bytes:
        """What can be decoded by now; may be empty. Raises BadAnswer, or TooLarge for a bomb."""
        if not self._began:
            self._began = True
            if self._window is None:  # a zlib header has 8 in these bits (RFC 1950), a bare block hardly ever
                self._window = zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._window)
        pieces = []
        while data:
            if self._inflate.eof:  # gzip may have several members, one after the other
                if self._window != _GZIP:
                    raise BadAnswer("bytes after the end of its encoding", began=True)
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                piece = self._inflate.decompress(data, self._room + 1)
            except zlib.error:
                raise BadAnswer("not encoded as it says", began=True) from None
            self._room -= len(piece)
            if self._room < 0:
                raise TooLarge
            pieces.append(piece)
            data = self._inflate.unused_data
        return b"".join(pieces)

    def finish(self) -> None:
        """The body is over. Raises BadAnswer where its encoding is not; a body of no bytes has none."""
        if self._began and not self._inflate.eof:
            raise BadAnswer("an encoding without its end", began=True)

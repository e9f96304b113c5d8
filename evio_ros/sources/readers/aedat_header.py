"""The text header of AEDAT 1.0 to 3.1 files: lines that begin with a number sign."""

from __future__ import annotations

from evio_ros.errors import SourceError

__all__ = ["LONGEST_HEADER_BYTES", "split_header"]

LONGEST_HEADER_BYTES = 1 << 20
_TEXT = bytes([*b"\t\r", *range(0x20, 0x100)])
"""Bytes of header lines; events have others, mostly zeros."""


def split_header(start: bytes, mark: bytes, path: str) -> tuple[bytes, int]:
    """Find the header at a file's beginning.

    Args:
        start: the first `LONGEST_HEADER_BYTES` of the file, or all of it.
        mark: beginning of the header's last line. In files without it, the header ends with the
            last line that begins with a number sign and is text, because events may begin with a
            number sign, too.
        path: name of the file, for messages.

    Returns:
        The header without the line of the mark, and the offset of what follows it.

    Raises:
        SourceError: if a line does not end.
    """
    end = start.find(mark)
    if end >= 0:
        return start[:end], start.find(b"\n", end) + 1 or len(start)
    offset = 0
    while start[offset : offset + 1] == b"#":
        line_end = start.find(b"\n", offset)
        line = start[offset:] if line_end < 0 else start[offset:line_end]
        if line.translate(None, _TEXT):
            break
        if line_end < 0:
            raise SourceError(path, "the header's last line does not end", offset)
        offset = line_end + 1
    return start[:offset], offset

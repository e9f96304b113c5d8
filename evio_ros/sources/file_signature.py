"""Naming what a file is that is no recording of events, by its first bytes, and who reads it."""

from __future__ import annotations

import re

__all__ = ["describe_file"]

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "an Ogg video or sound"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file; save its columns by scipy.io.loadmat and numpy.savez"),
    (b"PAR1", "an Apache Parquet file; polars reads it, and can write it as CSV"),
    (b"ARROW1", "an Apache Arrow file; polars reads it, and can write it as CSV"),
    (b"\xff\xff\xff\xff", "an Apache Arrow stream"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"BZh", "a file packed by bzip2; unpack it first"),
    (b"\xfd7zXZ\0", "a file packed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd; unpack it first"),
    (b"\x04\x22\x4d\x18", "a file packed by lz4; unpack it first"),
    (b"CDF\x01", "a netCDF file"),
    (b"\xff\xfe", "text in UTF-16; save it in UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it in UTF-8"),
    (b"\xd4\xc3\xb2\xa1", "recorded network traffic"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; run git lfs pull"),
    (b"<!DOCTYPE html", "a web page, as of a download that failed"),
    (b"<html", "a web page, as of a download that failed"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_AEDAT = re.compile(rb"#!AER-DAT(\d\.\d)")


def describe_file(start: bytes) -> str | None:
    """What a file is by its first bytes, and what can be done about it; None where it is unknown.

    Args:
        start: the file's first bytes, at least 512 where it has so many.
    """
    version = _AEDAT.match(start)
    if version:
        return f"AEDAT {version[1].decode()}, a version that is not known here; DV may read it"
    for beginning, name in _BEGINNINGS:
        if start.startswith(beginning):
            return name
    if start[4:8] == b"ftyp":
        return "an MP4 or QuickTime video"
    if start[:4] == b"RIFF":
        return f"a {start[8:12].decode('latin-1').strip()} video, sound or picture"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if start[:2] == b"PK":
        if b".npy" in start[:300] or b"data.pkl" in start[:300]:
            return "a PyTorch file or another archive of pickled objects, which are never read"
        return "a zip archive; unpack it first"
    if _PICKLE.match(start):
        return "a Python pickle, which is never read, since that can run any code; use numpy.savez"
    if start.lstrip()[:1] in (b"{", b"["):
        return "JSON, which is no form of events that is known here"
    return None

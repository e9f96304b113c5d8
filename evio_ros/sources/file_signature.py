"""Naming files that are not event recordings by their first bytes, and what can read them."""

from __future__ import annotations

import re

__all__ = ["describe_file", "describe_header"]

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "an Ogg video or sound"),
    (b"fLaC", "a FLAC sound"),
    (b"ID3", "an MP3 sound"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"ply\n", "a PLY point cloud"),
    (b"# .PCD", "a PCD point cloud"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"PAR1", "an Apache Parquet file; polars reads it, and can write it as CSV"),
    (b"ARROW1", "an Apache Arrow file; polars reads it, and can write it as CSV"),
    (b"\xff\xff\xff\xff", "an Apache Arrow stream"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"BZh", "a file compressed by bzip2; decompress it first"),
    (b"\xfd7zXZ\0", "a file compressed by xz; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd; decompress it first"),
    (b"\x04\x22\x4d\x18", "a file compressed by lz4; decompress it first"),
    (b"CDF\x01", "a netCDF file"),
    (b"\x0e\x03\x13\x01", "an HDF4 file; h4toh5 makes HDF5 of it"),
    (b"#ROSRECORD", "a bag of ROS before version 1.2; rosbag migrates it"),
    (b"\xff\xfe", "text in UTF-16; save it in UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it in UTF-8"),
    (b"\xd4\xc3\xb2\xa1", "recorded network traffic"),
    (b"\n\r\r\n", "recorded network traffic"),
    (b"ULog\x01\x12\x35", "a flight log of PX4"),
    (b"rosbag2_bagfile_information:", "the metadata of a rosbag2 bag; name the bag's folder"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; run git lfs pull"),
    (b"<!DOCTYPE html", "a web page, as from a failed download"),
    (b"<html", "a web page, as from a failed download"),
    (b"<?xml", "XML, which is not a known format of events"),
    (b"%YAML", "YAML, which is not a known format of events"),
    (b"{\\rtf", "an RTF document"),
)
_MAT4 = re.compile(rb"[\0-\x34]\0{3}.{8}[\0\1]\0{3}[\2-\x40]\0{3}[A-Za-z]\w*\0", re.DOTALL)
"""Type, rows, columns, real or complex, and name of the first variable."""
_DATE = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_DAT_TYPES = {
    14: "a DAT file of external triggers (type 14), without events",
    40: "a DAT file of boxes of detected objects (type 40), without events",
}
_CONVERTERS = "Metavision's metavision_file_to_hdf5 can convert it to HDF5, which can be read"
_AEDAT = re.compile(rb"#!AER-DAT(\d\.\d)")


def describe_file(start: bytes) -> str | None:
    """Name a file by its first bytes, and say what can be done about it; None if it is unknown.

    Args:
        start: the file's first bytes, at least 512 if it has as many.
    """
    version = _AEDAT.match(start)
    if version:
        return f"AEDAT {version[1].decode()}, a version that is not supported; DV may read it"
    for beginning, name in _BEGINNINGS:
        if start.startswith(beginning):
            return name
    if start[4:8] == b"ftyp":
        return "an MP4 or QuickTime video"
    if start[:4] == b"RIFF":
        return f"a RIFF file of {start[8:12].decode('latin-1').strip()}: video, sound or picture"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if start[:2] == b"PK":
        if b".npy" in start[:300] or b"data.pkl" in start[:300]:
            return "a PyTorch file or another archive of pickled objects, which are never read"
        return "a zip archive; unpack it first"
    if _PICKLE.match(start):
        return (
            "a Python pickle, which is never read, because that can run any code; use numpy.savez"
        )
    if _MAT4.match(start):
        return "a MATLAB file of level 4; save it with -v7, or as MATLAB 5 by scipy.io.savemat"
    if start.lstrip()[:1] in (b"{", b"["):
        return "JSON, which is not a known format of events"
    if start and not any(start):
        return "nothing but zeros, as from a failed copy"
    return _describe_text(start)


def _describe_text(start: bytes) -> str | None:
    """Describe text that is not lines of events; None if it is not text."""
    first = start.lstrip().split(b"\n", 1)[0].strip()
    if not first or any(byte < 9 or 13 < byte < 32 for byte in start):
        return None
    try:
        shown = first[:60].decode()
    except UnicodeDecodeError:
        return None
    date = _DATE.search(start)
    if date is not None:
        return f"text with dates, such as {date[0].decode()!r}; write times as numbers, in s or us"
    return f"text that begins with {shown!r}; lines of t, x, y, p are needed"


def describe_header(event_format: str | None, data: bytes) -> str | None:
    """Describe an unsupported file with a Prophesee header, and say what reads it.

    Args:
        event_format: format given by the header, such as EVT4; None for none.
        data: the bytes after the header; those of a DAT file begin with type and size of its
            records.
    """
    if event_format is not None:
        return f"a RAW file in the format {event_format.upper()[:40]}; {_CONVERTERS}"
    if len(data) < 2:
        return None
    kind, length = data[0], data[1]
    if kind in _DAT_TYPES:
        return _DAT_TYPES[kind]
    if kind < 64 and 8 <= length <= 64 and length % 4 == 0:
        return f"a DAT file with records of type {kind} and {length} bytes; {_CONVERTERS}"
    return None

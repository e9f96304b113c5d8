"""MAT files of level 5: variables that are numbers, texts or structures.

Specification: MathWorks, "MAT-File Format", chapter 1, "Level 5 MAT-Files". Cells, objects, sparse
and complex arrays, functions and arrays of structures are not read, but listed.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError

__all__ = ["MAT5_SIGNATURE", "NotRead", "read_mat5"]

MAT5_SIGNATURE = b"MATLAB 5.0 MAT-file"
_HEADER_BYTES, _ORDER_PLACE = 128, 126
_LITTLE, _BIG = b"IM", b"MI"
_TAG_BYTES, _ALIGNED = 8, 8
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""Types of stored numbers, which may be smaller than the type of the array."""
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCTURE, _CHARACTERS, _NUMBERS = 2, 4, range(6, 16)
"""Classes of arrays; the numeric ones are double to uint64."""
_OTHERS = {1: "a cell array", 3: "an object", 5: "a sparse array", 17: "an object"}
_CLASS_MASK, _LOGICAL, _COMPLEX = 0xFF, 0x200, 0x800
_DEEPEST = 16
_MOST_AXES, _MOST_FIELDS = 32, 4096
_MOST_BYTES = (1 << 31) - 1
"""Maximum size of a variable in bytes, as in MATLAB at this level."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A variable that is not read.

    Attributes:
        what: its kind, with article.
    """

    what: str


def read_mat5(data: bytes | memoryview) -> dict[str, Any]:
    """Read the variables of a file.

    Args:
        data: content of the file.

    Returns:
        Values by name: arrays of numbers without axes of length 1, so that a row or column is
        (n,); texts; structures as dictionaries of the same; and `NotRead`.

    Raises:
        EventError: if the file is invalid or truncated.
    """
    order = bytes(data[_ORDER_PLACE:_HEADER_BYTES])
    if order not in (_LITTLE, _BIG):
        raise EventError("the file header does not give the byte order")
    file = _Elements(memoryview(data), "<" if order == _LITTLE else ">")
    variables: dict[str, Any] = {}
    for kind, content in file.elements(_HEADER_BYTES):
        whole = content
        if kind == _COMPRESSED:
            kind, whole = next(
                _Elements(_decompressed(content, file.order), file.order).elements(0)
            )
        if kind == _MATRIX:
            name, value = _Elements(whole, file.order).array(0)
            variables[name] = value
    return variables


def _decompressed(packed: memoryview, order: str) -> memoryview:
    """Decompress an element; it must not be longer than its tag says."""
    decompressor = zlib.decompressobj()
    try:
        tag = decompressor.decompress(packed, _TAG_BYTES)
        if len(tag) < _TAG_BYTES:
            raise EventError("a compressed variable is truncated")
        size = struct.unpack(f"{order}II", tag)[1]
        if size > _MOST_BYTES:
            raise EventError(f"a variable of {size} bytes is larger than the format allows")
        content = decompressor.decompress(decompressor.unconsumed_tail, max(size, 1))
    except zlib.error as error:
        raise EventError(f"a compressed variable is corrupt: {error}") from None
    return memoryview(tag + content)


@dataclass(frozen=True, slots=True)
class _Elements:
    """Consecutive data elements.

    Attributes:
        data: their bytes.
        order: byte order of numbers, < or >.
    """

    data: memoryview
    order: str

    def elements(self, place: int) -> Iterator[tuple[int, memoryview]]:
        """Type and content of each element from an offset on."""
        while place < len(self.data):
            if place + _TAG_BYTES > len(self.data):
                raise EventError("the last element is truncated")
            kind, size = struct.unpack_from(f"{self.order}II", self.data, place)
            start = place + _TAG_BYTES
            if kind >> 16:
                # Up to four bytes are stored in the tag itself.
                kind, size, start = kind & 0xFFFF, kind >> 16, place + _TAG_BYTES // 2
                end = place + _TAG_BYTES
            else:
                end = start + size
            if start + size > len(self.data) or size > _MOST_BYTES:
                raise EventError(f"an element of {size} bytes is truncated")
            yield kind, self.data[start : start + size]
            is_padded = kind != _COMPRESSED
            place = -(-end // _ALIGNED) * _ALIGNED if is_padded else end

    def array(self, depth: int) -> tuple[str, Any]:
        """Name and value of the array that consists of these elements."""
        parts = self.elements(0)
        flags = self._numbers(*_next(parts))
        shape = tuple(self._numbers(*_next(parts)).tolist())
        name = bytes(_next(parts)[1]).decode("latin-1")
        if not len(flags) or not 0 < len(shape) <= _MOST_AXES or min(shape) < 0:
            raise EventError(f"the array {name!r} has no shape")
        kind = int(flags[0]) & _CLASS_MASK
        count = math.prod(shape)
        if kind == _STRUCTURE:
            is_one = count == 1
            return name, self._fields(parts, depth) if is_one else NotRead("an array of structures")
        if kind == _CHARACTERS:
            return name, self._text(parts)
        if kind not in _NUMBERS:
            return name, NotRead(_OTHERS.get(kind, "a function"))
        if int(flags[0]) & _COMPLEX:
            return name, NotRead("complex numbers")
        if not count:
            return name, np.empty(0)
        values = self._numbers(*_next(parts))
        if len(values) != count:
            raise EventError(f"the array {name!r} of {shape} has {len(values)} values")
        if int(flags[0]) & _LOGICAL:
            values = values != 0
        return name, values.reshape([side for side in shape if side != 1], order="F")

    def _fields(self, parts: Iterator[tuple[int, memoryview]], depth: int) -> dict[str, Any]:
        """The fields of one structure."""
        if depth >= _DEEPEST:
            raise EventError(f"structures are nested more than {_DEEPEST} deep")
        lengths, names = self._numbers(*_next(parts)), bytes(_next(parts)[1])
        length = int(lengths[0]) if len(lengths) else 0
        if length < 1 or len(names) % length or len(names) // length > _MOST_FIELDS:
            raise EventError("the fields of a structure have no names")
        found: dict[str, Any] = {}
        for start in range(0, len(names), length):
            field = names[start : start + length].split(b"\0")[0].decode("latin-1")
            kind, content = _next(parts)
            if kind != _MATRIX:
                raise EventError(f"the field {field!r} of a structure is not an array")
            if len(content):
                found[field] = _Elements(content, self.order).array(depth + 1)[1]
        return found

    def _text(self, parts: Iterator[tuple[int, memoryview]]) -> str:
        kind, content = next(parts, (0, memoryview(b"")))
        encoding = _TEXTS.get(kind, "latin-1")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self.order == "<" else "-be"
        return bytes(content).decode(encoding, "replace")

    def _numbers(self, kind: int, content: memoryview) -> NDArray[Any]:
        """The numbers of an element, in their stored type."""
        if kind not in _STORED:
            raise EventError(f"an element of type {kind} is not an array of numbers")
        stored = np.dtype(self.order + _STORED[kind])
        if len(content) % stored.itemsize:
            raise EventError(f"{len(content)} bytes are not a whole number of {stored}")
        return np.frombuffer(content, stored)


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    found = next(parts, None)
    if found is None:
        raise EventError("a part of an array is missing")
    return found

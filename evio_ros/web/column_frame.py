"""Columns of numbers as one binary message, for WebSocket clients.

Layout, little endian: uint32 length of the header; the header, JSON in UTF-8, padded with spaces so
that what follows begins at a multiple of 8 bytes; then each column, padded to 8 bytes with zeros.
The header's "columns" lists name, dtype ("<f8", "<u4" ...) and offset in bytes from the start of
the message, so that a browser can make a typed array of each without a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.web.live_view import EventSample, StateSample

__all__ = ["column_frame", "decode_column_frame", "event_columns", "state_columns"]

_ALIGNMENT = 8
_LENGTH_BYTES = 4


def column_frame(header: Mapping[str, Any], columns: Mapping[str, NDArray]) -> bytes:
    """One message of columns of equal length.

    Args:
        header: further values for the JSON header; "rows" and "columns" are added.
        columns: name to numbers (n,), any dtype of numbers.
    """
    parts = [np.ascontiguousarray(column) for column in columns.values()]
    parts = [part.astype(part.dtype.newbyteorder("<"), copy=False) for part in parts]
    rows = len(parts[0]) if parts else 0
    # The offsets' digits change the header's length: they are counted from the first column.
    described, offset = [], 0
    for name, part in zip(columns, parts, strict=True):
        described.append({"name": name, "dtype": part.dtype.str, "offset": offset})
        offset += part.nbytes + -part.nbytes % _ALIGNMENT
    text = json.dumps({**header, "rows": rows, "columns": described}, allow_nan=False).encode()
    text += b" " * (-(len(text) + _LENGTH_BYTES) % _ALIGNMENT)
    pieces = [len(text).to_bytes(_LENGTH_BYTES, "little"), text]
    for part in parts:
        pieces += [part.tobytes(), b"\0" * (-part.nbytes % _ALIGNMENT)]
    return b"".join(pieces)


def decode_column_frame(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Header and columns of a message; what a client in Python needs.

    Raises:
        ValueError: if it is not such a message.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    first = _LENGTH_BYTES + length
    if first > len(data):
        raise ValueError(f"a message of {len(data)} bytes ends within its header")
    header = json.loads(data[_LENGTH_BYTES:first])
    columns = {
        one["name"]: np.frombuffer(data, one["dtype"], header["rows"], first + one["offset"])
        for one in header["columns"]
    }
    return header, columns


def state_columns(samples: Iterable[StateSample]) -> dict[str, NDArray]:
    """The rotors of some windows, one row for each rotor of each window, oldest window first."""
    rows = [(sample, rotor) for sample in samples for rotor in sample.rotors]
    estimates = [rotor.estimate for _, rotor in rows]

    def numbers(values: Iterable[float]) -> NDArray[np.float64]:
        return np.fromiter(values, np.float64, len(rows))

    return {
        "t_us": numbers(sample.t_us for sample, _ in rows),
        "stamp_s": numbers(sample.stamp_s for sample, _ in rows),
        "id": np.array([one.id for one in estimates], np.uint32),
        "group": np.array([rotor.group for _, rotor in rows], np.uint32),
        "blade_count": np.array([one.blade_count for one in estimates], np.uint8),
        "is_predicted": np.array([rotor.is_predicted for _, rotor in rows], np.uint8),
        "rpm": numbers(one.rpm for one in estimates),
        "rpm_std": numbers(one.rpm_std for one in estimates),
        "confidence": numbers(one.confidence for one in estimates),
        "turns": numbers(one.turns for one in estimates),
        "angle": numbers(one.angle_rad for one in estimates),
        "center_x": numbers(one.center[0] for one in estimates),
        "center_y": numbers(one.center[1] for one in estimates),
        "axis_major": numbers(one.axes[0] for one in estimates),
        "axis_minor": numbers(one.axes[1] for one in estimates),
        "tilt": numbers(one.tilt_rad for one in estimates),
    }


def event_columns(samples: list[EventSample], budget: int) -> tuple[dict[str, NDArray], float]:
    """Events of some samples as columns, and which share of all that came they are.

    Args:
        samples: oldest first, of one sensor.
        budget: most events; of more, every second, third ... is taken.

    Returns:
        t uint32 in µs from the first sample's start, x and y uint16, polarity uint8; the share.
    """
    count = sum(len(sample.events) for sample in samples)
    step = max(1, -(-count // budget))
    start_us = samples[0].start_us if samples else 0
    batches = [sample.events for sample in samples]

    def column(parts: list[NDArray], dtype: type) -> NDArray:
        whole = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return whole[::step].astype(dtype)

    t = column([batch.t for batch in batches], np.int64)
    columns = {
        "t": (t - start_us).astype(np.uint32),
        "x": column([batch.x for batch in batches], np.uint16),
        "y": column([batch.y for batch in batches], np.uint16),
        "polarity": column([batch.polarity for batch in batches], np.uint8),
    }
    came = sum(len(sample.events) / sample.share for sample in samples)
    return columns, (len(t) / came if came else 1.0)

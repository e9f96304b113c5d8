"""Encoders of the file formats, written from the specifications, independently of the package."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from evio_ros.events import EventBatch, SensorSize

SIZE = SensorSize(640, 480)
RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"

Event = tuple[int, int, int, int]
"""t in µs, x, y, polarity 0 or 1."""


def real_recording(name: str) -> tuple[Path, dict]:
    """A recording of a real camera and its entry in the manifest; skips the test if missing."""
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"no {name} in {RECORDINGS}")
    return path, json.loads((RECORDINGS / "MANIFEST.json").read_text())[name]


def random_events(
    count: int, seed: int = 0, size: SensorSize = SIZE, start_us: int = 0, mean_step_us: float = 3.0
) -> list[Event]:
    """Events in order of time, some at the same time and in the same row."""
    rng = np.random.default_rng(seed)
    t = start_us + np.cumsum(rng.poisson(mean_step_us, count))
    x, y = rng.integers(0, size.width, count), rng.integers(0, size.height, count)
    # Runs along a row, which formats store as vectors.
    for first in range(0, count - 6, 40):
        t[first : first + 6] = t[first]
        y[first : first + 6] = y[first]
        x[first : first + 6] = int(rng.integers(0, size.width - 8)) + np.arange(6)
    t = np.maximum.accumulate(t)
    columns = (t, x, y, rng.integers(0, 2, count))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def batch_of(events: Iterable[Event], size: SensorSize = SIZE) -> EventBatch:
    """The same events as a batch."""
    t, x, y, polarity = np.array(list(events), np.int64).reshape(-1, 4).T
    return EventBatch(
        size, t.copy(), x.astype(np.uint16), y.astype(np.uint16), polarity.astype(np.bool_)
    )


def events_of(batches: Iterable) -> list[Event]:
    """The events of batches or of raw columns, one by one."""
    events: list[Event] = []
    for batch in batches:
        columns = (batch.t, batch.x, batch.y, batch.polarity.astype(int))
        events += zip(*(column.tolist() for column in columns), strict=True)
    return events


def digest_of(batches: Iterable) -> str:
    """SHA-256 of all events, as defined by the manifest of the real recordings."""
    columns = [(batch.t, batch.x, batch.y, batch.polarity) for batch in batches]
    digest = hashlib.sha256()
    for column, dtype in zip(zip(*columns, strict=True), ("<i8", "<u2", "<u2", "u1"), strict=True):
        digest.update(np.concatenate(column).astype(dtype).tobytes())
    return digest.hexdigest()


def dat_file(
    events: Iterable[Event], header: str = "% Version 2\n% Width 640\n% Height 480\n% end\n"
) -> bytes:
    """A DAT file; times are cut to 32 bits."""
    data = bytearray(header.encode() + b"\x0c\x08")
    for t, x, y, polarity in events:
        data += struct.pack("<II", t & 0xFFFFFFFF, x | y << 14 | polarity << 28)
    return bytes(data)


def evt2_words(events: Iterable[Event]) -> list[int]:
    """Words of 32 bits; a time word wherever the time above its low 6 bits changes."""
    words, high = [], None
    for t, x, y, polarity in events:
        if high != t >> 6:
            high = t >> 6
            words.append(0x8 << 28 | high & 0xFFFFFFF)
        words.append(polarity << 28 | (t & 0x3F) << 22 | x << 11 | y)
    return words


def evt2_file(events: Iterable[Event], header: str = "% format EVT2;width=640;height=480\n% end\n"):
    """A RAW file in EVT2."""
    words = evt2_words(events)
    return header.encode() + struct.pack(f"<{len(words)}I", *words)


def evt21_file(
    events: Iterable[Event],
    header: str = "% format EVT21;width=640;height=480\n% end\n",
    legacy: bool = False,
) -> bytes:
    """A RAW file in EVT2.1 with one event per word, at the last of its 32 pixels if that fits."""
    data, high = bytearray(header.encode()), None
    for t, x, y, polarity in events:
        if high != t >> 6:
            high = t >> 6
            data += _halves(0x8 << 28 | high & 0xFFFFFFF, 0, legacy)
        shift = 31 if x >= 31 else 0
        head = polarity << 28 | (t & 0x3F) << 22 | (x - shift) << 11 | y
        data += _halves(head, 1 << shift, legacy)
    return bytes(data)


def _halves(head: int, mask: int, legacy: bool) -> bytes:
    return struct.pack("<II", head, mask) if legacy else struct.pack("<II", mask, head)


def evt3_words(events: Iterable[Event], before: Event | None = None) -> list[int]:
    """Words of 16 bits, time and row before each event; every third event as a vector.

    Time-high words of the 24-bit time are repeated at every half wrap; cameras send them far more
    often.
    """
    words = []
    high = before[0] >> 12 if before else None
    for number, (t, x, y, polarity) in enumerate(events):
        while high is not None and (t >> 12) - high > 0x800:
            high += 0x800
            words.append(0x8 << 12 | high & 0xFFF)
        high = t >> 12
        words += [0x8 << 12 | high & 0xFFF, 0x6 << 12 | t & 0xFFF, y]
        if number % 3:
            words.append(0x2 << 12 | polarity << 11 | x)
        else:
            back = min(x, number % 12)
            kind = 0x5 if back < 8 and number % 2 else 0x4
            words += [0x3 << 12 | polarity << 11 | x - back, kind << 12 | 1 << back]
    return words


def evt3_file(events: Iterable[Event], header: str = "% format EVT3;width=640;height=480\n% end\n"):
    """A RAW file in EVT3."""
    words = evt3_words(events)
    return header.encode() + struct.pack(f"<{len(words)}H", *words)


def slow_libcaer_compressed(payload: bytes, base_us: int) -> list[Event]:
    """Decode the encoding "libcaer_cmp" word by word, as in the codec's description."""
    x = y = time_high = time_low = polarity = 0
    events = []
    for (word,) in struct.iter_unpack("<H", payload):
        code, rest = word >> 12, word & 0xFFF
        t = base_us + (time_high << 12) + time_low
        if code == 0:
            time_high = rest
        elif code == 1:
            time_low = rest
        elif code == 2:
            x = rest & 0x7FF
        elif code == 3:
            events.append((t, x, rest & 0x7FF, rest >> 11))
        elif code == 4:
            y, polarity = rest & 0x7FF, rest >> 11
        elif code == 5:
            events += [(t, x, y + i, polarity) for i in range(8) if rest >> i & 1]
            y += 8
    return events

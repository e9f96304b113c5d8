"""A fake device that plays recorded packets, with the real types of the library."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import neuromorphic_drivers as nd
import numpy as np
from encoded_events import Event
from neuromorphic_drivers.status import RingStatus, Status

POLARITY_EVENTS = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
TIMEOUT = None
"""Entry of a script for a time without a packet."""


def packet_of(
    events: Iterable[Event] | None, overflows: Iterable[int] = (), kind: type = nd.Evt3Packet
) -> Any:
    """A packet as the library creates it; events None for one without polarity events."""
    packet = kind()
    packet.polarity_events = None if events is None else np.array(list(events), POLARITY_EVENTS)
    packet.polarity_events_overflow_indices = np.array(list(overflows)) if overflows else None
    packet.trigger_events = packet.trigger_events_overflow_indices = None
    return packet


class RecordedDevice:
    """Returns the packets of a script and raises its errors; then times out until closed."""

    def __init__(self, script: Iterable[Any], dropped: int = 0) -> None:
        self.script = iter(script)
        self.dropped = dropped
        self.configurations: list[Any] = []
        self.is_open = threading.Event()

    def __enter__(self) -> RecordedDevice:
        self.is_open.set()
        return self

    def __exit__(self, *_: object) -> bool:
        self.is_open.clear()
        return False

    def __next__(self) -> tuple[Status, Any]:
        if not self.is_open.is_set():
            raise RuntimeError("the device is closed")
        step = next(self.script, TIMEOUT)
        if isinstance(step, Exception):
            raise step
        if step is TIMEOUT:
            time.sleep(0.005)
            return Status(system_time=time.time(), ring=None), None
        ring = RingStatus(time.time(), 0, 1, False, 0, self.dropped)
        return Status(system_time=time.time(), ring=ring), step

    def update_configuration(self, configuration: Any) -> None:
        """Serialise a new configuration as the library does, which checks it."""
        configuration.serialize()
        self.configurations.append(configuration)

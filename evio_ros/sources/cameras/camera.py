"""Live cameras as sources of events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl

import numpy as np

from evio_ros.errors import ParameterError, SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.cameras import camera_device
from evio_ros.sources.cameras.camera_device import CameraParameters
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.readers.recording import REORDER_WINDOW_US
from evio_ros.sources.time_order import RawColumns, TimeOrder

__all__ = ["SCHEME", "Camera", "open_camera"]

SCHEME = "camera:"
_PACKET_TIMEOUT_S = 0.1
RETRY_S = 0.5
_EDGE_NAMES = ("rising", "polarity")
"""Names of the field with which the library distinguishes rising from falling edges."""


def open_camera(
    uri: str, size: SensorSize | None = None, parameters: CameraParameters | None = None
) -> Camera:
    """Open a camera by its URI.

    Args:
        uri: `camera:MODEL?serial=...&biases=...&roi=...&event_rate_limit_hz=...`; without a model,
            the first camera found.
        size: None, or the geometry that the camera must have.
        parameters: settings that the URI does not give.

    Raises:
        ParameterError: if the URI or a value in it is invalid.
        SourceError: if there is no such camera.
    """
    model, _, query = uri.removeprefix(SCHEME).partition("?")
    chosen = parameters or CameraParameters()
    given: dict[str, object] = dict(parse_qsl(query, keep_blank_values=True))
    limit = given.get("event_rate_limit_hz")
    if limit is not None:
        if not str(limit).isdigit():
            raise ParameterError(f"event_rate_limit_hz: {limit!r} is not a whole number")
        given["event_rate_limit_hz"] = int(str(limit))
    chosen = chosen.replaced(given)
    camera = Camera(model or _first_model(chosen.serial), chosen, given)
    if size not in (None, camera.size):
        camera.close()
        raise ParameterError(
            f"width, height: {uri} is a sensor of {camera.size} pixels, not {size}"
        )
    return camera


def _first_model(serial: str) -> str:
    for listed in camera_device.list_cameras():
        if listed.model and serial in ("", listed.serial):
            return listed.model
    wanted = f"camera with serial number {serial}" if serial else "camera"
    raise SourceError(SCHEME, f"no {wanted} is connected; `evio devices` lists the connected ones")


class Camera:
    """A live camera; implements `evio_ros.sources.base.EventSource`.

    If the connection breaks, the camera is reopened as soon as it is available; sensor time then
    continues after the time that passed in between. Events that are out of order are sorted, so the
    newest packet is held back until the next one arrives.

    Args:
        model: key of `evio_ros.sources.cameras.camera_device.MODELS`.
        parameters: serial number, biases, region, limit.
        fixed: values that later changes of the parameters do not affect, such as those of a URI.

    Attributes:
        path: the URI without options.
        statistics: counters, including overflows, lost packets and errors of the device.

    Raises:
        ParameterError: if the camera does not support a setting.
        SourceError: if there is no such camera or it cannot be opened.
    """

    is_live = True
    format_name = "camera"

    def __init__(
        self,
        model: str,
        parameters: CameraParameters,
        fixed: Mapping[str, object] | None = None,
    ) -> None:
        self.path = f"{SCHEME}{model}"
        self.statistics = SourceStatistics()
        self.size = camera_device.size_of(model)
        self._model = model
        self._parameters = parameters
        self._fixed = fixed or {}
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._order = TimeOrder(self.size, REORDER_WINDOW_US, self.statistics, live=True)
        self._device: Any = None
        self._start_over_at: float | None = None
        self._offset_us = 0
        self._triggers: list[Triggers] = []
        self._newest_us = 0
        # Number of losses before the newest event.
        self._lost = 0
        self._open()

    def batches(self) -> Iterator[EventBatch]:
        """Yield batches as they arrive, until the camera is closed."""
        while not self._closed.is_set():
            try:
                packet = self._next_packet()
            except (RuntimeError, SourceError):
                if not self._closed.is_set():
                    self._reopen()
                continue
            if packet is not None and packet.trigger_events is not None:
                self._note_triggers(packet.trigger_events)
            events = None if packet is None else packet.polarity_events
            if events is None or not len(events):
                yield from self._order.flush(ended=False)
                continue
            columns = self._columns(events)
            self._note_gap(int(columns.t[0]), int(columns.t.max()))
            yield from self._order.push(columns)

    def take_triggers(self) -> Triggers:
        """External triggers since the last call; edge and input are those of the library."""
        taken, self._triggers = self._triggers, []
        return Triggers.concatenate(taken)

    def _note_triggers(self, events: np.ndarray) -> None:
        names = events.dtype.names or ()
        # iniVation's cameras have a single input; polarity 2 is a pulse, which counts as rising.
        told = next((name for name in _EDGE_NAMES if name in names), None)
        edge = np.ones(len(events)) if told is None else events[told] > 0
        channel = events["id"] if "id" in names else np.zeros(len(events))
        t = events["t"].astype(np.int64) + self._offset_us
        self._triggers.append(Triggers(t, edge.astype(np.uint8), channel.astype(np.uint8)))
        self.statistics.triggers += len(events)

    def change(self, parameters: CameraParameters) -> None:
        """Apply biases, region and limit while the camera runs.

        Raises:
            ParameterError: if the camera does not support them or refuses a value; it keeps the old
                ones.
        """
        parameters = parameters.replaced(self._fixed)
        configuration = camera_device.configuration_of(self._model, parameters)
        with self._lock:
            try:
                if self._device is not None:
                    self._device.update_configuration(configuration)
            except OverflowError as error:
                raise ParameterError(f"biases: {error}") from None
            self._parameters = parameters

    def close(self) -> None:
        """Close the camera and end `batches`; can be called repeatedly, from any thread."""
        self._closed.set()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        configuration = camera_device.configuration_of(self._model, self._parameters)
        device = camera_device.open_device(
            configuration, self._parameters.serial, _PACKET_TIMEOUT_S
        )
        try:
            device.__enter__()
        except RuntimeError as error:
            raise SourceError(self.path, f"cannot be opened: {error}") from None
        with self._lock:
            self._device, self._dropped = device, 0

    def _release(self) -> None:
        with self._lock:
            device, self._device = self._device, None
        if device is not None:
            device.__exit__(None, None, None)

    def _next_packet(self) -> Any:
        """The next packet; None if none arrived in time."""
        device = self._device
        if device is None:
            raise SourceError(self.path, "is not open")
        status, packet = next(device)
        if status.ring is None or packet is None:
            return None
        # The library counts since the camera was opened.
        self.statistics.lost_packets += max(status.ring.dropped_packets - self._dropped, 0)
        self._dropped = status.ring.dropped_packets
        overflows = packet.polarity_events_overflow_indices
        self.statistics.overflows += 0 if overflows is None else len(overflows)
        return packet

    def _reopen(self) -> None:
        """Wait until the camera can be reopened."""
        self.statistics.device_errors += 1
        self._start_over_at = self._start_over_at or time.monotonic()
        self._release()
        while not self._closed.wait(RETRY_S):
            try:
                self._open()
            except SourceError:
                continue
            return

    def _note_gap(self, first_us: int, newest_us: int) -> None:
        """Record the time before a packet's first event as a gap if events before it were lost."""
        counted = self.statistics
        lost = counted.lost_packets + counted.overflows + counted.device_errors
        if lost > self._lost and self._newest_us:
            counted.note_gap(self._newest_us + 1, first_us)
        self._lost = lost
        self._newest_us = max(self._newest_us, newest_us)

    def _columns(self, events: np.ndarray) -> RawColumns:
        t = events["t"].astype(np.int64)
        if self._start_over_at is not None:
            away_us = round((time.monotonic() - self._start_over_at) * 1e6)
            self._offset_us = self._newest_us + away_us - int(t[0])
            self._start_over_at = None
        t += self._offset_us
        return RawColumns(
            t,
            np.ascontiguousarray(events["x"]),
            np.ascontiguousarray(events["y"]),
            np.ascontiguousarray(events["on"]).view(np.bool_),
        )

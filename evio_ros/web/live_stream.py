"""The live streams: the newest columns to every WebSocket client that keeps up.

One task makes each message once for all clients. Every client has a queue of one message, in which
a newer one replaces the older, and its own sender: a client that never reads delays nobody else,
and is dropped when a message cannot be sent for some seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from fastapi import WebSocket, WebSocketDisconnect

from evio_ros.web.column_frame import column_frame, event_columns, state_columns
from evio_ros.web.live_view import LiveView, StateSample

__all__ = ["Broadcast", "EventFrames", "StateFrames"]

_SEND_S = 5.0
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
_NO_TIME_US = -(1 << 62)
_PAST_STEP_US = 100_000
"""Least distance of windows from before a client connected."""

_Frames = Callable[[], bytes | None]


class StateFrames:
    """Rotors of all windows since the frame before; None if there was none.

    The first frame covers the time before, with ten windows a second.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._seen = 0
        self._is_first = True

    def __call__(self) -> bytes | None:
        """The next frame."""
        self._seen, samples = self._view.states_after(self._seen)
        if self._is_first:
            samples, self._is_first = _spaced(samples), False
        if not samples:
            return None
        newest = samples[-1]
        header = {
            "kind": "states",
            "t_us": newest.t_us,
            "window_us": newest.window_us,
            "stamp_s": newest.stamp_s,
            "windows": len(samples),
            "events": sum(sample.events for sample in samples),
            "event_rate_hz": self._view.event_rate_hz(),
        }
        return column_frame(header, state_columns(samples))


def _spaced(samples: list[StateSample]) -> list[StateSample]:
    """The newest window, and those before it since time went back, some time apart."""
    kept = samples[-1:]
    for sample in reversed(samples):
        apart_us = kept[-1].t_us - sample.t_us
        if apart_us < 0:
            break
        if apart_us >= _PAST_STEP_US:
            kept.append(sample)
    return kept[::-1]


class EventFrames:
    """Events since the frame before, decimated to a budget; None if none came.

    Args:
        view: what is shown.
        budget: most events of one frame.
    """

    def __init__(self, view: LiveView, budget: int) -> None:
        self._view = view
        self._budget = budget
        self._end_us = _NO_TIME_US

    def __call__(self) -> bytes | None:
        """The next frame."""
        newest_us = self._view.newest_events_us()
        if newest_us is None or newest_us == self._end_us:
            return None
        if newest_us < self._end_us:
            self._end_us = _NO_TIME_US  # the replay has gone back
        from_us = self._end_us
        if from_us == _NO_TIME_US:
            from_us = newest_us - _PAST_STEP_US  # of more the budget would leave little
        # Samples may be longer than that: the last one is told whatever its length.
        samples = self._view.samples_after(from_us) or self._view.samples_after(_NO_TIME_US)[-1:]
        self._end_us = newest_us
        if not samples:
            return None
        columns, share = event_columns(samples, self._budget)
        size = samples[0].events.size
        header = {
            "kind": "events",
            "start_us": samples[0].start_us,
            "end_us": samples[-1].end_us,
            "share": share,
            "width": size.width,
            "height": size.height,
        }
        return column_frame(header, columns)


class Broadcast:
    """Sends frames to clients, at a fixed rate while there are any.

    Args:
        frames: gives a function that makes the next frame, the first of all that is kept; called
            in the event loop, so it must not block.
        rate_hz: frames a second.
        most_clients: more are refused with status 1013.

    Attributes:
        clients: how many are connected.
        dropped: how many were dropped because they did not read.
        sent: frames sent, of all clients together.
    """

    def __init__(self, frames: Callable[[], _Frames], rate_hz: float, most_clients: int) -> None:
        self._make = frames
        self._period_s = 1.0 / rate_hz
        self._most_clients = most_clients
        self._places: set[asyncio.Queue[bytes]] = set()
        self._pump: asyncio.Task[None] | None = None
        # The first frame of all clients that come before the next one is made.
        self._past: bytes | None = None
        self.dropped = self.sent = 0

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._places)

    async def serve(self, socket: WebSocket) -> None:
        """Send to one client until it goes or is dropped."""
        await socket.accept()
        if self.clients >= self._most_clients:
            await socket.close(_TRY_AGAIN_LATER, "too many clients")
            return
        place: asyncio.Queue[bytes] = asyncio.Queue(1)
        # What was before: where time stands still, nothing newer comes.
        if self._pump is None or self._pump.done():
            frames = self._make()
            self._past = frames()
            self._pump = asyncio.create_task(self._run(frames))
        elif self._past is None:
            self._past = self._make()()
        if self._past is not None:
            place.put_nowait(self._past)
        self._places.add(place)
        hearing = asyncio.create_task(self._hear(socket))
        sending = asyncio.create_task(self._send(socket, place))
        try:
            await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._places.discard(place)
            for task in (hearing, sending):
                task.cancel()
            await asyncio.gather(hearing, sending, return_exceptions=True)

    async def _run(self, frames: _Frames) -> None:
        """Make frames while there are clients."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._places:
            frame = frames()
            self._past = None
            if frame is not None:
                for place in self._places:
                    with contextlib.suppress(asyncio.QueueEmpty):
                        place.get_nowait()
                    place.put_nowait(frame)
            due_s = max(due_s + self._period_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def _send(self, socket: WebSocket, place: asyncio.Queue[bytes]) -> None:
        while True:
            frame = await place.get()
            try:
                await asyncio.wait_for(socket.send_bytes(frame), _SEND_S)
            except TimeoutError:
                self.dropped += 1
                return
            except (WebSocketDisconnect, RuntimeError):
                return
            self.sent += 1

    async def _hear(self, socket: WebSocket) -> None:
        """Notice that the client goes; nothing is expected of it, and what it says is an error."""
        try:
            message = await socket.receive()
            if message["type"] == "websocket.receive":
                await socket.close(_POLICY_VIOLATION, "clients must not send messages")
        except (WebSocketDisconnect, RuntimeError):
            pass

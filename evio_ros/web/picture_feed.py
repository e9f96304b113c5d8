"""Pictures of the live view, made at a fixed rate while there are viewers, once for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import numpy as np

from evio_ros.errors import EvioError
from evio_ros.events import SensorSize
from evio_ros.opencv import opencv
from evio_ros.representations.object_overlay import draw_objects
from evio_ros.representations.picture import Picture, draw_picture
from evio_ros.representations.rotor_overlay import draw_rotors
from evio_ros.tracked_object import TrackedObject
from evio_ros.web.live_view import Detection, EventSample, LiveView

__all__ = ["PictureFeed"]

_EVENT_FRAME_US = 50_000
_LONGEST_SAMPLE_US = 1_000_000
_MOST_EVENTS = 255
_MOST_GAIN = 8.0
_REPEAT_S = 0.5
"""A picture that stays is sent again so often: who has just come sees it."""


def picture_of(view: LiveView) -> Picture | None:
    """What a view shows at this moment, uint8 (rows, columns, 3) in RGB; None before the first.

    The picture of the representation node if there is one, else the newest events; both with
    rotors and detections drawn in, if OpenCV is installed.
    """
    given = view.picture
    if given is not None:
        return given[1]
    size = view.size
    if size is None:
        return None
    newest_us = view.newest_events_us() or 0
    samples = view.samples_after(newest_us - _LONGEST_SAMPLE_US)
    # Samples may be longer than the frame: the last one is shown whatever its length.
    recent = [one for one in samples if one.start_us >= newest_us - _EVENT_FRAME_US]
    picture = _drawn(recent or samples[-1:], size)
    state = view.state
    # Without OpenCV the events alone are shown.
    with contextlib.suppress(EvioError):
        draw_objects(map(_object, view.detections), picture)
        if state is not None:
            rotors = state.rotors
            predicted = {rotor.estimate.id for rotor in rotors if rotor.is_predicted}
            draw_rotors((rotor.estimate for rotor in rotors), picture, predicted)
    return picture


def _object(found: Detection) -> TrackedObject:
    (x, y), (width, height) = found.center, found.size
    corners = (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height)
    return TrackedObject(0, found.track_id, corners, found.class_id, found.score, 0)


def _drawn(samples: list[EventSample], size: SensorSize) -> Picture:
    """The events of some samples; one that stands for several shines for some of them."""
    tensor = np.zeros((2, size.height, size.width), np.uint8)
    for sample in samples:
        if sample.events.size != size:
            continue
        events = sample.events
        place = events.y.astype(np.int64) * size.width + events.x
        place += events.polarity.astype(np.int64) * size.pixels
        gain = min(1.0 / sample.share, _MOST_GAIN)
        flat = tensor.reshape(-1)
        touched, counts = np.unique(place, return_counts=True)
        flat[touched] = np.minimum(flat[touched] + counts * gain, _MOST_EVENTS)
    picture = np.empty((size.height, size.width, 3), np.uint8)
    draw_picture("event_frame", tensor, picture)
    return picture


class PictureFeed:
    """Makes pictures while there are viewers; to be used in one event loop.

    Args:
        view: what is shown.
        rate_hz: pictures a second.
        most_viewers: more are not let in.
    """

    def __init__(self, view: LiveView, rate_hz: float, most_viewers: int) -> None:
        self.view = view
        self._period_s = 1.0 / rate_hz
        self._most_viewers = most_viewers
        self._viewers = 0
        self._number = 0
        self._picture: Picture | None = None
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._made, self._wanted = asyncio.Event(), asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether there are as many viewers as may be."""
        return self._viewers >= self._most_viewers

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Within, pictures are made."""
        self._viewers += 1
        with self.view.watching("picture"), self.view.watching("events"):
            if self._pump is None or self._pump.done():
                self._pump = asyncio.create_task(self._run())
            try:
                yield
            finally:
                self._viewers -= 1

    async def after(self, number: int) -> tuple[int, Picture]:
        """The newest picture and its number, which is above `number`; waits for one."""
        while self._picture is None or self._number <= number:
            self._wanted.set()
            await self._made.wait()
        return self._number, self._picture

    async def jpeg_after(self, number: int) -> tuple[int, bytes]:
        """The same as JPEG, encoded once for all.

        Raises:
            EvioError: where OpenCV is not installed.
        """
        found, picture = await self.after(number)
        if self._jpeg[0] != found:
            self._jpeg = (found, await asyncio.to_thread(_jpeg, picture))
        return self._jpeg

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        shown: tuple[object, ...] = ()
        made_s = 0.0
        while self._viewers:
            # None is drawn while all are busy with the last one.
            await self._wanted.wait()
            view = self.view
            given = view.picture
            now = (view.newest_events_us(), view.states, given[0] if given else None, view.size)
            if now != shown or time.monotonic() - made_s > _REPEAT_S:
                picture = await asyncio.to_thread(picture_of, view)
                if picture is not None:
                    self._number += 1
                    self._picture = picture
                    self._wanted.clear()
                    self._made.set()
                    self._made.clear()
                shown, made_s = now, time.monotonic()
            due_s = max(due_s + self._period_s, loop.time())
            await asyncio.sleep(due_s - loop.time())


def _jpeg(picture: Picture) -> bytes:
    cv2 = opencv("MJPEG")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], quality)
    if not done:
        raise EvioError(f"a picture of {picture.shape} could not be encoded")
    return encoded.tobytes()

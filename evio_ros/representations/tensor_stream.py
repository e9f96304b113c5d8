"""Tensors of consecutive windows from a stream of events, however it is split."""

from __future__ import annotations

from collections.abc import Iterator

from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow
from evio_ros.representations.base import Representation
from evio_ros.windowing import LONGEST_GAP_US

__all__ = ["TensorStream"]


class TensorStream:
    """Fills a representation window by window; windows start at multiples of their length.

    The same events split otherwise give the same tensors. The first window contains the events from
    the start of the stream on. Events are pushed as they arrive; nothing is joined or copied.

    Args:
        representation: the representation to fill.
        window_us: length of every window in µs, at least 1.

    Attributes:
        late_events: number of events dropped because their window was aborted when time went back
            or jumped ahead.
    """

    def __init__(self, representation: Representation, window_us: int) -> None:
        if window_us < 1:
            raise ParameterError(f"window_us: {window_us} is below the minimum 1 us")
        self.representation = representation
        self.window_us = window_us
        self.late_events = 0
        self._start_us: int | None = None
        self._complete_until_us = 0

    def push(self, window: EventWindow) -> Iterator[int]:
        """Add all events of a time span, and yield the start of each window that it completes.

        The representation must be read before the iterator continues, and the iterator must be
        exhausted before the next push. If time goes back, or jumps ahead by more than
        `LONGEST_GAP_US`, the stream is reset.

        Raises:
            EventError: if the window is of another sensor geometry.
        """
        since_last_us = window.start_us - self._complete_until_us
        if self._start_us is None or not 0 <= since_last_us <= LONGEST_GAP_US:
            self._begin_afresh(window.start_us)
        assert self._start_us is not None
        self._complete_until_us = window.end_us
        while window.end_us >= self._start_us + self.window_us:
            end_us = self._start_us + self.window_us
            self.representation.push(window.events.between(self._start_us, end_us))
            yield self._start_us
            self._begin(end_us)
        self.representation.push(window.events.between(self._start_us, window.end_us))

    def _begin_afresh(self, t_us: int) -> None:
        self.late_events += self.representation.event_count
        self.representation.reset()
        self._begin(t_us - t_us % self.window_us)

    def _begin(self, start_us: int) -> None:
        self._start_us = start_us
        self.representation.begin(start_us, self.window_us)

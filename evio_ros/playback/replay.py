"""Replay of a recording at a given speed, with pause, seek, restart and loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow
from evio_ros.parameters import Parameters, parameter
from evio_ros.sources.base import SeekableSource
from evio_ros.windowing import split_window, windows, with_missing

__all__ = ["Replay", "ReplayParameters"]

_LONGEST_WAIT_S = 3600.0
"""Maximum length of a single wait: at a rate near 0, the next window may be due after more seconds
than the system's functions accept."""


@dataclass(frozen=True)
class ReplayParameters(Parameters):
    """How a recording is played."""

    window_us: int = parameter(
        10_000,
        unit="us",
        minimum=100,
        maximum=10_000_000,
        doc="Length of the window of events in one message.",
    )
    maximum_events: int = parameter(
        500_000,
        minimum=1,
        maximum=10_000_000,
        doc="A window with more events is sent as several messages.",
    )
    rate: float = parameter(
        1.0,
        minimum=0.0,
        maximum=1000.0,
        doc="Speed of the replay; 1.0 is real time, 0.0 as fast as the subscribers can take it.",
    )
    loop: bool = parameter(False, doc="Start again at the end.")
    start_us: int = parameter(
        0,
        unit="us",
        minimum=0,
        read_only=True,
        doc="Start of the played section, from the start of the recording.",
    )
    duration_us: int = parameter(
        0,
        unit="us",
        minimum=0,
        read_only=True,
        doc="Length of the played section; 0 plays to the end of the recording.",
    )


class Replay:
    """Plays a recording in its own thread.

    Args:
        source: the recording; nothing else may read it until `close`.
        parameters: speed, length of windows, and section of the recording.
        emit: called with each window when it is due, and whether sensor time starts afresh with
            it: at the start, and after a seek, a restart or the end of a loop. It may block; the
            replay then waits.
        ended: called with None at the end of the section, after which the replay waits for `seek`
            or `restart`; or with the error that ended the replay for good. It may block until
            `has_request`.

    Raises:
        ParameterError: if the section starts after the end of the recording.
    """

    def __init__(
        self,
        source: SeekableSource,
        parameters: ReplayParameters,
        emit: Callable[[EventWindow, bool], None],
        ended: Callable[[Exception | None], None],
    ) -> None:
        length_us = source.end_us - source.start_us
        if parameters.start_us >= length_us:
            raise ParameterError(
                f"start_us: {parameters.start_us} us is past the recording's end at {length_us} us"
            )
        self._source = source
        self._emit = emit
        self._ended = ended
        self._parameters = parameters
        self._begin_us = source.start_us + parameters.start_us
        self._end_us = source.end_us
        if parameters.duration_us:
            self._end_us = min(self._begin_us + parameters.duration_us, source.end_us)
        # Guards the requests below, which the thread carries out between two windows.
        self._requests = threading.Condition()
        self._jump: _Jump | None = _Jump(self._begin_us, fresh=True)
        self._paused = False
        self._closed = False
        self._sent_until_us = self._begin_us
        # Whether sensor time starts afresh with the next window.
        self._is_fresh = True
        self._behind_s = 0.0
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    @property
    def paused(self) -> bool:
        """Whether the replay is paused."""
        return self._paused

    @property
    def position_us(self) -> int:
        """End of the last window, from the start of the recording, µs."""
        return self._sent_until_us - self._source.start_us

    @property
    def behind_s(self) -> float:
        """Delay of the last window, in seconds of the clock; 0 at rate 0."""
        return self._behind_s

    def start(self) -> None:
        """Start to play."""
        self._thread.start()

    def pause(self, paused: bool) -> None:
        """Pause if `paused`, else continue from the current position."""
        with self._requests:
            self._paused = paused
            self._requests.notify_all()

    def seek(self, t_us: int) -> None:
        """Continue from a time; while paused, only the first window there is emitted.

        Args:
            t_us: time in µs, from the start of the recording.

        Raises:
            ParameterError: if the time is not in the played section.
        """
        target_us = self._source.start_us + t_us
        if not self._begin_us <= target_us < self._end_us:
            low, high = self._begin_us - self._source.start_us, self._end_us - self._source.start_us
            raise ParameterError(f"t: {t_us} us is not in {low} to {high - 1} us")
        with self._requests:
            self._jump = _Jump(target_us, fresh=True, is_shown=True)
            self._requests.notify_all()

    def restart(self) -> None:
        """Continue from the start of the played section."""
        self.seek(self._begin_us - self._source.start_us)

    def change(self, parameters: ReplayParameters) -> None:
        """Use another rate, window length or loop from the next window on.

        The played section does not change.
        """
        with self._requests:
            self._parameters = parameters
            self._jump = self._jump or _Jump(self._sent_until_us, fresh=False)
            self._requests.notify_all()

    @property
    def closed(self) -> bool:
        """Whether `close` was called; an `emit` that blocks must return then."""
        return self._closed

    @property
    def has_request(self) -> bool:
        """Whether `close`, `seek`, `restart` or `change` was called and takes effect next."""
        return self._closed or self._jump is not None

    def close(self) -> None:
        """Stop the thread; the source stays open."""
        with self._requests:
            self._closed = True
            self._requests.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closed:
                jump = self._take_jump()
                if jump is not None:
                    self._play(jump)
                elif not self._closed:
                    self._ended(None)
                    self._wait_for_jump()
        except Exception as error:  # any error must be reported to `ended`
            self._ended(error)

    def _wait_for_jump(self) -> None:
        with self._requests:
            self._requests.wait_for(lambda: self._closed or self._jump is not None)

    def _take_jump(self) -> _Jump | None:
        """Remove and return the next jump; None if there is none, or the replay was closed."""
        with self._requests:
            jump, self._jump = self._jump, None
            if self._closed:
                return None
            if jump is None and self._parameters.loop:
                return _Jump(self._begin_us, fresh=True)
            return jump

    def _play(self, jump: _Jump) -> None:
        """Play from a position until the end of the section or the next request."""
        self._source.seek(jump.t_us)
        self._sent_until_us = jump.t_us
        parameters = self._parameters
        pace = _Pace(parameters.rate, jump.t_us)
        # A `change` before the first window must not cancel that time starts afresh with it.
        self._is_fresh = self._is_fresh or jump.fresh
        is_due = jump.is_shown and self._paused
        for window in self._windows(jump.t_us, parameters):
            if not is_due and not self._wait(pace, window.end_us):
                return
            self._emit(window, self._is_fresh)
            self._sent_until_us = window.end_us
            self._is_fresh = is_due = False

    def _windows(self, start_us: int, parameters: ReplayParameters) -> Iterator[EventWindow]:
        """Windows from a sensor time to the end of the section."""
        size = self._source.size
        batches = self._source.batches()
        cut = windows(batches, size, parameters.window_us, start_us, self._end_us)
        for window in with_missing(cut, self._source.statistics.gaps):
            if window.end_us > self._end_us:
                events = window.events.between(window.start_us, self._end_us)
                window = replace(window, events=events)
            yield from split_window(window, parameters.maximum_events)

    def _wait(self, pace: _Pace, t_us: int) -> bool:
        """Wait until a window that ends at `t_us` is due; False if a request came first."""
        with self._requests:
            while not self._closed and self._jump is None:
                if self._paused:
                    pace.stop()
                    self._requests.wait()
                    continue
                remaining_s = pace.remaining_s(t_us)
                if remaining_s <= 0.0:
                    self._behind_s = -remaining_s
                    return True
                self._requests.wait(min(remaining_s, _LONGEST_WAIT_S))
            return False


@dataclass(frozen=True, slots=True)
class _Jump:
    """A position from which playing continues.

    Attributes:
        t_us: sensor time in µs.
        fresh: whether sensor time starts afresh there.
        is_shown: whether the first window is emitted even while the replay is paused.
    """

    t_us: int
    fresh: bool
    is_shown: bool = False


class _Pace:
    """Computes when, by the clock, a sensor time is due.

    Args:
        rate: sensor time per clock time; 0 if everything is due at once.
        start_us: sensor time that is due at the first call of `remaining_s`.
    """

    def __init__(self, rate: float, start_us: int) -> None:
        self._rate = rate
        self._anchor_us = start_us
        self._anchor_s: float | None = None

    def stop(self) -> None:
        """Stop the clock; the next `remaining_s` continues it at the same position."""
        if self._anchor_s is not None and self._rate:
            elapsed_s = time.monotonic() - self._anchor_s
            self._anchor_us += round(1e6 * elapsed_s * self._rate)
        self._anchor_s = None

    def remaining_s(self, t_us: int) -> float:
        """Seconds until a sensor time is due; 0 or negative if it is due already."""
        if not self._rate:
            return 0.0
        now_s = time.monotonic()
        if self._anchor_s is None:
            self._anchor_s = now_s
        return self._anchor_s + 1e-6 * (t_us - self._anchor_us) / self._rate - now_s

"""Playing a recording in step with a clock, with pause, seek, restart and loop."""

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
"""The system's clock cannot wait for the next window of a replay that is nearly stopped."""


@dataclass(frozen=True)
class ReplayParameters(Parameters):
    """How a recording is played."""

    window_us: int = parameter(
        10_000, unit="us", minimum=100, maximum=10_000_000, doc="Length of one message."
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
        doc="Where to begin, counted from the start of the recording.",
    )
    duration_us: int = parameter(
        0,
        unit="us",
        minimum=0,
        read_only=True,
        doc="How much to play; 0 plays to the end of the recording.",
    )


class Replay:
    """Plays a recording in its own thread.

    Args:
        source: the recording; read by no one else meanwhile.
        parameters: pace and section.
        emit: takes each window when its time has come, and whether sensor time starts afresh
            with it (at the beginning and after a seek, a restart or the end of a loop). It may
            block, and the replay waits.
        ended: called at the end, after which the replay waits for a seek or restart, or with the
            error that ended it for good. It may block until `has_request`.

    Raises:
        ParameterError: if the section lies outside the recording.
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
        # Guards the wishes below, which the thread grants between two windows.
        self._wishes = threading.Condition()
        self._jump: _Jump | None = _Jump(self._begin_us, fresh=True)
        self._paused = False
        self._closed = False
        self._sent_until_us = self._begin_us
        self._is_fresh = True  # whether sensor time starts afresh with the next window
        self._behind_s = 0.0
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    @property
    def paused(self) -> bool:
        """Whether the replay is paused."""
        return self._paused

    @property
    def position_us(self) -> int:
        """Position of the replay, from the start of the recording."""
        return self._sent_until_us - self._source.start_us

    @property
    def behind_s(self) -> float:
        """How late the newest window was, in seconds of the clock; 0 at rate 0."""
        return self._behind_s

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def pause(self, paused: bool) -> None:
        """Pause, or continue from the present position."""
        with self._wishes:
            self._paused = paused
            self._wishes.notify_all()

    def seek(self, t_us: int) -> None:
        """Go on from `t_us` after the recording's start; in pause with one window, to be seen.

        Raises:
            ParameterError: if that lies outside the section that is played.
        """
        target_us = self._source.start_us + t_us
        if not self._begin_us <= target_us < self._end_us:
            low, high = self._begin_us - self._source.start_us, self._end_us - self._source.start_us
            raise ParameterError(f"t: {t_us} us is not in {low} to {high - 1} us")
        with self._wishes:
            self._jump = _Jump(target_us, fresh=True, is_shown=True)
            self._wishes.notify_all()

    def restart(self) -> None:
        """Go on from the beginning of the section."""
        self.seek(self._begin_us - self._source.start_us)

    def change(self, parameters: ReplayParameters) -> None:
        """Take over another pace, window or loop from the next window on; the section stays."""
        with self._wishes:
            self._parameters = parameters
            self._jump = self._jump or _Jump(self._sent_until_us, fresh=False)
            self._wishes.notify_all()

    @property
    def closed(self) -> bool:
        """Whether `close` was called; an `emit` that blocks must return then."""
        return self._closed

    @property
    def has_request(self) -> bool:
        """Whether it was closed, or is about to continue elsewhere or differently."""
        return self._closed or self._jump is not None

    def close(self) -> None:
        """End the thread; the source is left open."""
        with self._wishes:
            self._closed = True
            self._wishes.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closed:
                jump = self._next_jump()
                if jump is not None:
                    self._play(jump)
                elif not self._closed:
                    self._ended(None)
                    self._wait_for_jump()
        except Exception as error:  # whoever waits for events must know
            self._ended(error)

    def _wait_for_jump(self) -> None:
        with self._wishes:
            self._wishes.wait_for(lambda: self._closed or self._jump is not None)

    def _next_jump(self) -> _Jump | None:
        """Where to play from next; None if the end is reached or the replay closed."""
        with self._wishes:
            jump, self._jump = self._jump, None
            if self._closed:
                return None
            if jump is None and self._parameters.loop:
                return _Jump(self._begin_us, fresh=True)
            return jump

    def _play(self, jump: _Jump) -> None:
        """Play until the end or until something else is wished."""
        self._source.seek(jump.t_us)
        self._sent_until_us = jump.t_us
        parameters = self._parameters
        pace = _Pace(parameters.rate, jump.t_us)
        # What is asked for before the first window is sent does not change that time starts afresh.
        self._is_fresh = self._is_fresh or jump.fresh
        is_due = jump.is_shown and self._paused
        for window in self._windows(jump.t_us, parameters):
            if not is_due and not self._wait(pace, window.end_us):
                return
            self._emit(window, self._is_fresh)
            self._sent_until_us = window.end_us
            self._is_fresh = is_due = False

    def _windows(self, start_us: int, parameters: ReplayParameters) -> Iterator[EventWindow]:
        size = self._source.size
        batches = self._source.batches()
        cut = windows(batches, size, parameters.window_us, start_us, self._end_us)
        for window in with_missing(cut, self._source.statistics.gaps):
            if window.end_us > self._end_us:
                events = window.events.between(window.start_us, self._end_us)
                window = replace(window, events=events)
            yield from split_window(window, parameters.maximum_events)

    def _wait(self, pace: _Pace, t_us: int) -> bool:
        """Wait for a window's time; False if the replay is closed or continues elsewhere."""
        with self._wishes:
            while not self._closed and self._jump is None:
                if self._paused:
                    pace.stop()
                    self._wishes.wait()
                    continue
                remaining_s = pace.remaining_s(t_us)
                if remaining_s <= 0.0:
                    self._behind_s = -remaining_s
                    return True
                self._wishes.wait(min(remaining_s, _LONGEST_WAIT_S))
            return False


@dataclass(frozen=True, slots=True)
class _Jump:
    """Where to play from, whether time starts afresh there, and whether that shows while paused."""

    t_us: int
    fresh: bool
    is_shown: bool = False


class _Pace:
    """The clock time at which a sensor time is due."""

    def __init__(self, rate: float, start_us: int) -> None:
        self._rate = rate
        self._anchor_us = start_us
        self._anchor_s: float | None = None

    def stop(self) -> None:
        """Pause; the next call restarts the clock at the same position."""
        if self._anchor_s is not None and self._rate:
            elapsed_s = time.monotonic() - self._anchor_s
            self._anchor_us += round(1e6 * elapsed_s * self._rate)
        self._anchor_s = None

    def remaining_s(self, t_us: int) -> float:
        """Seconds until `t_us` is due; at most 0 if it is."""
        if not self._rate:
            return 0.0
        now_s = time.monotonic()
        if self._anchor_s is None:
            self._anchor_s = now_s
        return self._anchor_s + 1e-6 * (t_us - self._anchor_us) / self._rate - now_s

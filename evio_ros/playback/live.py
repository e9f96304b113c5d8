"""Players: emit the events of a source in windows, replayed from a recording or live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow
from evio_ros.playback.replay import Replay, ReplayParameters
from evio_ros.sources.base import EventSource, SeekableSource, refuse_impossible_size
from evio_ros.windowing import WindowAssembler, split_window, with_missing

__all__ = ["LivePlayer", "Player", "player_of", "source_description"]


class Player(Protocol):
    """The interface of all players: `Replay`, `LiveStream`, and the relay of a topic."""

    @property
    def paused(self) -> bool:
        """Whether the player is paused."""
        ...

    @property
    def position_us(self) -> int:
        """Sensor time from the first event to the end of the last window, µs."""
        ...

    @property
    def behind_s(self) -> float:
        """Delay of the last window, in seconds of the clock; 0 for live sources."""
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    @property
    def has_request(self) -> bool:
        """Whether `close`, `seek`, `restart` or `change` was called and takes effect next."""
        ...

    def start(self) -> None:
        """Start to emit windows."""

    def pause(self, paused: bool) -> None:
        """Pause if `paused`, else continue."""

    def seek(self, t_us: int) -> None:
        """Continue from a time.

        Args:
            t_us: time in µs, from the first event.

        Raises:
            ParameterError: if the source is live, or the time is not in the played section.
        """

    def restart(self) -> None:
        """Continue from the start of the played section.

        Raises:
            ParameterError: if the source is live.
        """

    def change(self, parameters: ReplayParameters) -> None:
        """Use other parameters from the next window on."""

    def close(self) -> None:
        """Stop for good."""


class LivePlayer:
    """Base class of live players. They cannot seek, and drop the events that arrive while paused.

    Args:
        parameters: of these, only the length of windows and the maximum number of events are used.
        emit: called with each window, and whether sensor time starts afresh with it.
    """

    behind_s = 0.0

    def __init__(
        self, parameters: ReplayParameters, emit: Callable[[EventWindow, bool], None]
    ) -> None:
        self.paused = False
        self.closed = False
        self.position_us = 0
        self._parameters = parameters
        self._emit = emit
        self._first_us: int | None = None

    @property
    def has_request(self) -> bool:
        """Whether `close` was called: a live player has no other requests."""
        return self.closed

    def pause(self, paused: bool) -> None:
        """Pause or continue; while paused, events are read and dropped, so that no buffer fills."""
        self.paused = paused

    def seek(self, t_us: int) -> None:
        """Raise ParameterError: past events are not kept."""
        raise ParameterError(f"t: {t_us} us: a live source cannot seek")

    def restart(self) -> None:
        """Raise ParameterError: past events are not kept."""
        raise ParameterError("the source is live and cannot be restarted")

    def change(self, parameters: ReplayParameters) -> None:
        """Use another maximum number of events; the length of windows does not change."""
        self._parameters = parameters

    def _start_afresh(self) -> None:
        """Report with the next window that sensor time starts afresh."""
        self._first_us = None

    def _pass_on(self, window: EventWindow) -> None:
        """Emit a window in parts of at most the maximum number of events, unless paused."""
        fresh = self._first_us is None
        if self._first_us is None:
            self._first_us = window.start_us
        self.position_us = window.end_us - self._first_us
        for part in split_window(window, self._parameters.maximum_events):
            if not self.paused:
                self._emit(part, fresh)
                fresh = False


class LiveStream(LivePlayer):
    """Reads a live source in its own thread and emits its events as they arrive.

    Args:
        source: the camera; `close` closes it.
        parameters, emit: see `LivePlayer`.
        ended: called when the source has ended, with the error that ended it or None; not called
            after `close`.
    """

    def __init__(
        self,
        source: EventSource,
        parameters: ReplayParameters,
        emit: Callable[[EventWindow, bool], None],
        ended: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(parameters, emit)
        self._source = source
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the source."""
        self.closed = True
        self._source.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        error = None
        try:
            self._read()
        except Exception as caught:  # any error must be reported to `ended`
            error = caught
        if not self.closed:
            self._ended(error)

    def _read(self) -> None:
        """Emit the events of the source until it ends or the stream is closed."""
        windows = WindowAssembler(self._source.size, self._parameters.window_us)
        for batch in self._source.batches():
            if self.closed:
                return
            for window in with_missing(windows.push(batch), self._source.statistics.gaps):
                self._pass_on(window)


def player_of(
    source: EventSource,
    parameters: ReplayParameters,
    emit: Callable[[EventWindow, bool], None],
    ended: Callable[[Exception | None], None],
) -> Player:
    """A `Replay` of a recording, or a `LiveStream` of any other source.

    Args:
        source: a recording or a camera.
        parameters, emit, ended: see `Replay` and `LiveStream`.

    Raises:
        ParameterError: if a parameter does not fit the source.
        SourceError: if the source has more pixels than sensors have.
    """
    refuse_impossible_size(source)
    if isinstance(source, SeekableSource):
        return Replay(source, parameters, emit, ended)
    return LiveStream(source, parameters, emit, ended)


def source_description(source: object, rate: float) -> str:
    """One line about a source: its path and, for a recording, geometry, length and replay speed.

    Args:
        source: a source, with its `path` if it has one.
        rate: speed of the replay relative to real time; 0 if it is not limited.
    """
    path = str(getattr(source, "path", source))
    if not isinstance(source, SeekableSource):
        return path
    pace = f"at {rate:g} times its speed" if rate else "as fast as possible"
    length_s = 1e-6 * (source.end_us - source.start_us)
    return f"{path}, {source.size} pixels, {length_s:.3f} s, {pace}"

"""Passing on the events of a live camera in windows, as they arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow
from evio_ros.playback.replay import Replay, ReplayParameters
from evio_ros.sources.base import EventSource, SeekableSource, refuse_impossible_size
from evio_ros.windowing import WindowAssembler, split_window, with_missing

__all__ = ["LivePlayer", "Player", "described", "player_of"]


class Player(Protocol):
    """What passes on a source's windows: a `Replay`, a `LiveStream` or a relay of a topic."""

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        ...

    @property
    def position_us(self) -> int:
        """Its position, from the first event."""
        ...

    @property
    def behind_s(self) -> float:
        """How late the newest window was, in seconds of the clock."""
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    @property
    def has_request(self) -> bool:
        """Whether it was closed, or is about to continue elsewhere or differently."""
        ...

    def start(self) -> None:
        """Begin."""

    def pause(self, paused: bool) -> None:
        """Pause, or continue."""

    def seek(self, t_us: int) -> None:
        """Continue from a time; raises ParameterError if that is impossible."""

    def restart(self) -> None:
        """Continue from the beginning; raises ParameterError if there is none."""

    def change(self, parameters: ReplayParameters) -> None:
        """Take over other parameters."""

    def close(self) -> None:
        """End."""


class LivePlayer:
    """The common part of live players, which cannot go back and drop what comes while paused.

    Args:
        parameters: the length of windows and the most events in one; pace means nothing here.
        emit: takes each window, and whether sensor time starts afresh with it.
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
        """Whether it was closed; it cannot continue elsewhere."""
        return self.closed

    def pause(self, paused: bool) -> None:
        """Leave out what comes, so that no buffer fills, or pass it on again."""
        self.paused = paused

    def seek(self, t_us: int) -> None:
        """Raises ParameterError: what is past is gone."""
        raise ParameterError(f"t: {t_us} us: a live source cannot seek")

    def restart(self) -> None:
        """Raises ParameterError: what is past is gone."""
        raise ParameterError("the source is live and cannot be restarted")

    def change(self, parameters: ReplayParameters) -> None:
        """Take over the most events of a window; the length of windows stays as it was."""
        self._parameters = parameters

    def _start_afresh(self) -> None:
        """Say with the next window that sensor time starts afresh."""
        self._first_us = None

    def _pass_on(self, window: EventWindow) -> None:
        fresh = self._first_us is None
        if self._first_us is None:
            self._first_us = window.start_us
        self.position_us = window.end_us - self._first_us
        for part in split_window(window, self._parameters.maximum_events):
            if not self.paused:
                self._emit(part, fresh)
                fresh = False


class LiveStream(LivePlayer):
    """Reads a live source in a thread of its own.

    Args:
        source: the camera; closed with the stream.
        parameters, emit: as of `LivePlayer`.
        ended: called with the error, or None, when the source gives no more.
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
        """Begin to read."""
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
        except Exception as problem:  # whoever waits for events must know
            error = problem
        if not self.closed:
            self._ended(error)

    def _read(self) -> None:
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
    """A replay of a recording, or a live stream of anything else; arguments as of `Replay`.

    Raises:
        ParameterError: if a parameter does not fit the source.
        SourceError: if the source has more pixels than sensors have.
    """
    refuse_impossible_size(source)
    if isinstance(source, SeekableSource):
        return Replay(source, parameters, emit, ended)
    return LiveStream(source, parameters, emit, ended)


def described(source: object, rate: float) -> str:
    """A source in a line: name, geometry, length and pace of a recording.

    Args:
        source: a source with a path.
        rate: speed of the replay, 0 for as fast as events are taken.
    """
    path = str(getattr(source, "path", source))
    if not isinstance(source, SeekableSource):
        return path
    pace = f"at {rate:g} times its speed" if rate else "as fast as possible"
    length_s = 1e-6 * (source.end_us - source.start_us)
    return f"{path}, {source.size} pixels, {length_s:.3f} s, {pace}"

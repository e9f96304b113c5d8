"""A recording, or a camera, measured by the library and shown by the dashboard: no ROS needed."""

from __future__ import annotations

import dataclasses
import time

from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow
from evio_ros.explanation import recent, rotors_in_view
from evio_ros.playback.live import Player, player_of
from evio_ros.playback.replay import ReplayParameters
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.sources.base import (
    EventSource,
    SeekableSource,
    SourceStatistics,
    refuse_impossible_size,
)
from evio_ros.thinning import Thinner
from evio_ros.web.data_source import ControlError, NodeParameter, PlaybackState
from evio_ros.web.live_view import EventSample, LiveView, NodeReport, ShownRotor, StateSample

__all__ = ["RecordingSource"]

_NODE = "/player"
_REPORT_S = 0.5
_LATE_S = 0.5
_MOST_EVENTS = 10_000_000
"""No step is cut: the detector takes whole ones."""


class RecordingSource:
    """Plays a source, measures its rotors and shows both; a `DashboardSource`.

    Args:
        source: the recording or camera; a camera is closed with this, a recording is left open.
        path: its name, for people.
        settings: of the detector.
        replay: pace of a recording; its window is that of the detector's step.

    Attributes:
        view: what is shown.
        title: the source's name without its folders.

    Raises:
        ParameterError: if the replay begins past the recording's end.
    """

    def __init__(
        self,
        source: EventSource,
        path: str,
        settings: DetectorSettings,
        replay: ReplayParameters,
    ) -> None:
        self.view = LiveView()
        self.view.put_size(source.size)
        self.title = path.rstrip("/").rpartition("/")[2]
        self._source = source
        self._path = path
        self._settings = settings
        self._replay = dataclasses.replace(
            replay, window_us=settings.step_us, maximum_events=_MOST_EVENTS
        )
        refuse_impossible_size(source)
        self._detector = RotationDetector(source.size, *settings)
        self._thinner = Thinner()
        self._windows = self._events = 0
        self._reported_s = 0.0
        self._error = ""
        self._has_ended = False
        self._player: Player = player_of(source, self._replay, self._take, self._end)

    def start(self) -> None:
        """Begin to play."""
        self._report("waiting for events")
        self._player.start()

    def close(self) -> None:
        """End."""
        self._player.close()

    def playback(self) -> PlaybackState:
        """How far it is."""
        source = self._source
        length_us = None
        if isinstance(source, SeekableSource):
            length_us = source.end_us - source.start_us
        position_us = self._player.position_us
        return PlaybackState(
            source=self._path,
            is_seekable=length_us is not None,
            is_paused=self._player.paused,
            position_us=position_us if length_us is None else min(position_us, length_us),
            duration_us=length_us,
            rate=self._replay.rate if length_us is not None else None,
        )

    def pause(self, is_paused: bool) -> str:
        """Pause, or continue."""
        self._player.pause(is_paused)
        return "paused" if is_paused else "playing"

    def seek(self, t_us: int) -> str:
        """Go on from a time since the recording's beginning.

        Raises:
            ControlError: if that is outside the recording, or the source is live.
        """
        try:
            self._player.seek(t_us)
        except ParameterError as error:
            raise ControlError(str(error)) from None
        self._has_ended = False
        return f"at {1e-6 * t_us:.3f} s"

    def restart(self) -> str:
        """Go on from the beginning.

        Raises:
            ControlError: if the source is live.
        """
        try:
            self._player.restart()
        except ParameterError as error:
            raise ControlError(str(error)) from None
        self._has_ended = False
        return "from the beginning"

    def set_rate(self, rate: float) -> str:
        """Replay at `rate` times its speed, 0.0 as fast as it is measured.

        Raises:
            ControlError: if the rate is out of range, or the source is live.
        """
        if not isinstance(self._source, SeekableSource):
            raise ControlError("a live source has no speed")
        return self.set_parameter(_NODE, "replay.rate", rate)

    def parameters(self) -> list[NodeParameter]:
        """The parameters of the replay."""
        return [
            NodeParameter(
                _NODE,
                f"replay.{one.name}",
                getattr(self._replay, one.name),
                one.doc,
                one.minimum,
                one.maximum,
                one.name not in ("loop", "rate"),
            )
            for one in ReplayParameters.describe()
        ]

    def set_parameter(self, node: str, name: str, value: bool | int | float | str) -> str:
        """Change one parameter.

        Raises:
            ControlError: if it does not exist, cannot be changed, or the value is refused.
        """
        known = {one.name: one for one in self.parameters()}
        if node != _NODE or name not in known:
            raise ControlError(f"{node} has no parameter {name}")
        if known[name].is_read_only:
            raise ControlError(f"{name} is read at the start only")
        field = name.removeprefix("replay.")
        if field == "rate" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        try:
            # The field's own check says what is wrong with a value of another type.
            changed = dataclasses.replace(self._replay, **{field: value})  # type: ignore[arg-type]
        except ParameterError as error:
            raise ControlError(str(error)) from None
        self._replay = changed
        self._player.change(changed)
        return f"{name} is {value}"

    def _take(self, window: EventWindow, is_fresh: bool) -> None:
        """Measure and show a window."""
        if is_fresh:
            self._detector = RotationDetector(self._source.size, *self._settings)
            self.view.clear()
        self._has_ended = False
        rotors = self._detector.process(window)
        self._windows += 1
        self._events += len(window.events)
        self._show_events(window)
        self.view.put_state(
            StateSample(
                t_us=window.end_us,
                window_us=self._settings.window_us,
                events=len(window.events),
                rotors=tuple(ShownRotor(rotor) for rotor in rotors),
                stamp_s=time.time(),
            )
        )
        if time.monotonic() - self._reported_s > _REPORT_S:
            self._report(rotors_in_view(len(rotors), recent(self._detector.explanations)))

    def _show_events(self, window: EventWindow) -> None:
        """Show as many of the events as a view keeps; even unwatched, they are few."""
        events = window.events
        budget = self.view.events_a_second * 1e-6 * window.length_us
        share = 1.0
        if len(events) > budget:
            share = budget / len(events)
            events = events.at(self._thinner.places(len(events), share))
        self.view.put_events(EventSample(events, window.start_us, window.end_us, share))

    def _end(self, error: Exception | None) -> None:
        self._has_ended = True
        self._error = str(error) if error is not None else ""
        self._report(self._error or "the recording has ended")

    def _report(self, message: str) -> None:
        self._reported_s = time.monotonic()
        behind_s = self._player.behind_s
        counted = self._source.statistics
        level = "error" if self._error else "warn" if behind_s > _LATE_S else "ok"
        if level == "warn":
            message += "; slower than requested, because measuring takes longer"
        values = {"windows": str(self._windows), "events": str(self._events)}
        values["behind_s"] = f"{behind_s:.3f}"
        values |= _counts(counted)
        for number, reason in enumerate(recent(self._detector.explanations)):
            values[f"no_rotor_{number}"] = str(reason)
        self.view.put_report(
            NodeReport(f"{_NODE}: playback", level, message, self._path, values, time.monotonic())
        )


def _counts(counted: SourceStatistics) -> dict[str, str]:
    return {name: str(count) for name, count in counted.faults().items()}

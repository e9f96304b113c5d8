"""The source of the dashboard's data: a running graph, or a recording that the library plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evio_ros.errors import EvioError
from evio_ros.web.live_view import LiveView

__all__ = ["ControlError", "DashboardSource", "NodeParameter", "PlaybackState"]


class ControlError(EvioError):
    """A command cannot be carried out; the text is for the user.

    Args:
        text: what is wrong and what to do.
        is_absent: whether nobody is there to do it, e.g. the driver does not run.
    """

    def __init__(self, text: str, is_absent: bool = False) -> None:
        super().__init__(text)
        self.is_absent = is_absent


@dataclass(frozen=True, slots=True)
class PlaybackState:
    """The state of a replay.

    Attributes:
        source: the recording or camera.
        is_seekable: whether it can be paused and moved in; False for live cameras.
        is_paused: whether it is paused.
        position_us: from the first event.
        duration_us: length of the recording; None if unknown.
        rate: speed of the replay, 0.0 for as fast as possible; None if unknown.
    """

    source: str
    is_seekable: bool
    is_paused: bool
    position_us: int
    duration_us: int | None
    rate: float | None

    @property
    def is_at_end(self) -> bool:
        """Whether the recording has ended and nothing more can come."""
        return self.duration_us is not None and self.position_us >= self.duration_us


@dataclass(frozen=True, slots=True)
class NodeParameter:
    """One parameter that can be changed while a node runs.

    Attributes:
        node: full name of the node.
        name: full name of the parameter.
        value: its value.
        doc: one sentence; empty if the node gives none.
        minimum, maximum: bounds of numbers; None for none.
        is_read_only: whether a change is refused.
    """

    node: str
    name: str
    value: bool | int | float | str
    doc: str = ""
    minimum: float | None = None
    maximum: float | None = None
    is_read_only: bool = False


class DashboardSource(Protocol):
    """What server and page need; all methods can be called from any thread, and may block.

    Attributes:
        view: what is shown.
        title: what is looked at, in a few words: a namespace or a file's name.
    """

    view: LiveView
    title: str

    def playback(self) -> PlaybackState | None:
        """How far the replay is; None if nothing plays."""
        ...

    def pause(self, is_paused: bool) -> str:
        """Pause, or continue; returns what was done, in words.

        Raises:
            ControlError: here and below, where it cannot be done.
        """
        ...

    def seek(self, t_us: int) -> str:
        """Go on from a time since the recording's beginning."""
        ...

    def restart(self) -> str:
        """Go on from the beginning."""
        ...

    def set_rate(self, rate: float) -> str:
        """Replay at `rate` times its speed; 0.0 as fast as possible."""
        ...

    def parameters(self) -> list[NodeParameter]:
        """The parameters of the nodes."""
        ...

    def set_parameter(self, node: str, name: str, value: bool | int | float | str) -> str:
        """Change one parameter."""
        ...

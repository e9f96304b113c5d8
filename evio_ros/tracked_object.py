"""An object detected in a window, for fusion, drawing and messages."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrackedObject"]


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """A box of one class in one window, and the track to which it belongs.

    Attributes:
        t_us: end of the window, sensor time in µs.
        id: the track, kept from window to window; empty for a box without a track.
        corners: x0, y0, x1, y1 in pixels of the sensor, pixel i from i to i + 1; x1 > x0, y1 > y0.
        class_name: e.g. "drone".
        score: probability, 0 to 1, that the track's last detected box is an object of the class.
        seen_us: sensor time in µs of the track's last detected box.
    """

    t_us: int
    id: str
    corners: tuple[float, float, float, float]
    class_name: str
    score: float
    seen_us: int

    @property
    def is_seen(self) -> bool:
        """Whether the box was detected in this window; otherwise it is predicted."""
        return self.seen_us == self.t_us

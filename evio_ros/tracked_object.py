"""An object that a detector has found in a window, for fusion, drawing and messages."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrackedObject"]


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """A box of one class at one moment, and the track that it belongs to.

    Attributes:
        t_us: the moment: end of the window, sensor time in µs.
        id: the track, kept from window to window; empty for a box that belongs to none.
        corners: x0, y0, x1, y1 in pixels of the sensor, pixel i from i to i + 1; x1 > x0, y1 > y0.
        class_name: e.g. "drone".
        score: probability of an object of the class, of the box seen last; 0 to 1.
        seen_us: sensor time of the box that the track was last seen by.
    """

    t_us: int
    id: str
    corners: tuple[float, float, float, float]
    class_name: str
    score: float
    seen_us: int

    @property
    def is_seen(self) -> bool:
        """Whether a box of this very window belongs to the track; else the box is predicted."""
        return self.seen_us == self.t_us

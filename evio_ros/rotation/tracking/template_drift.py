"""How far a template has turned while it was learning: an error of the phase that can be measured.

A rotor's phase is that of its template, and a template that turns by itself cannot be told from a
rotor that does. But each time it learns, new looks can be compared with the old ones: what all
rings and polarities have in common tells how far the phase may have been taken along. The first
guess, blurred and made with a disc that was not yet well known, has an angle of its own: as it
fades, the phase moves on to that of what was learned since.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["TemplateDrift"]

Real = NDArray[np.float64]

REMEMBERED_US = 2_500_000


class TemplateDrift:
    """Sum of the angles by which a template has turned, and how much is left of its first guess.

    Args:
        start_us: time at which the template begins to be followed.
        first_share: share of the first guess in the template at that time.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self._history: deque[tuple[int, float, float]] = deque([(start_us, 0.0, first_share)])

    def learn(self, t_us: int, turned: Real, information: Real, first_share: float) -> None:
        """Take in what `Template.learn` returned at a time, and the share of the first guess."""
        total = float(information.sum())
        common = float((information * turned).sum()) / total if total > 0.0 else 0.0
        self._history.append((t_us, self._history[-1][1] + common, first_share))
        while self._history[1][0] < t_us - REMEMBERED_US:
            self._history.popleft()

    def since(self, t_us: int) -> tuple[float, float]:
        """Since a time: angle that all channels have turned by, rad, and share that has faded."""
        before = self._history[0]
        for entry in self._history:
            if entry[0] > t_us:
                break
            before = entry
        return self._history[-1][1] - before[1], before[2] - self._history[-1][2]

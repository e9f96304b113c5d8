"""How far a template has turned while it was learning: an error of the phase that can be measured.

A rotor's phase is that of its template, and a template that turns by itself cannot be told from a
rotor that does. But each time it learns, new looks can be compared with the old ones, ring by ring
and polarity by polarity: what all have in common, and how much they disagree, both tell how far the
phase may have been taken along.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["TemplateDrift"]

Real = NDArray[np.float64]

REMEMBERED_US = 2_500_000


class TemplateDrift:
    """Sums of the angles by which the channels of a template have turned.

    Args:
        channels: shape of the channels, (rings, 2).
        start_us: time at which the template begins to be followed.
    """

    def __init__(self, channels: tuple[int, ...], start_us: int) -> None:
        self._turned: Real = np.zeros(channels)
        self._information: Real = np.ones(channels)
        self._history: deque[tuple[int, Real]] = deque([(start_us, self._turned)])

    def learn(self, t_us: int, turned: Real, information: Real) -> None:
        """Take in what `Template.learn` returned at a time."""
        self._turned = self._turned + turned
        self._information = information
        self._history.append((t_us, self._turned))
        while self._history[1][0] < t_us - REMEMBERED_US:
            self._history.popleft()

    def since(self, t_us: int) -> tuple[float, float]:
        """Drift since a time: the square of the common one, and its variance, rad^2.

        The variance is that of the common drift as the channels' disagreement tells it.
        """
        before = self._history[0][1]
        for time_us, turned in self._history:
            if time_us > t_us:
                break
            before = turned
        total = float(self._information.sum())
        if total <= 0.0:
            return 0.0, 0.0
        share = self._information / total
        angles = self._turned - before
        common = float((share * angles).sum())
        scatter = float((share * (angles - common) ** 2).sum())
        # The number of channels that count, less the one degree of freedom of the mean.
        freedom = max(1.0 / float(np.square(share).sum()) - 1.0, 0.1)
        return common**2, scatter / freedom

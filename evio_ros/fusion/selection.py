"""Choosing among estimates of the same window."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evio_ros.estimate import RotorEstimate

__all__ = ["is_usable", "most_confident"]


def is_usable(estimate: RotorEstimate) -> bool:
    """Whether all numbers are finite and the confidence is a probability."""
    numbers = (estimate.rpm, estimate.rpm_std, estimate.angle_rad, estimate.turns, *estimate.center)
    return all(map(math.isfinite, numbers)) and 0.0 <= estimate.confidence <= 1.0


def most_confident(estimates: Sequence[RotorEstimate]) -> int | None:
    """Index of the estimate of greatest confidence, the first of equals; None without any."""
    if not estimates:
        return None
    return max(range(len(estimates)), key=lambda index: estimates[index].confidence)

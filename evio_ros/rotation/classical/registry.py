"""The classical methods by name."""

from __future__ import annotations

from collections.abc import Callable

from evio_ros.events import EventBatch
from evio_ros.rotation.classical import autocorrelation, period_filter, welch

__all__ = ["CLASSICAL_METHODS"]

_BladePassMethod = Callable[[EventBatch, int, int, int], float | None]
"""(events of a region, start_us, length_us, blades) -> blade-pass frequency in Hz, or None."""

CLASSICAL_METHODS: dict[str, _BladePassMethod] = {
    "welch": welch.blade_pass_frequency,
    "autocorrelation": autocorrelation.blade_pass_frequency,
    "period_filter": period_filter.blade_pass_frequency,
}

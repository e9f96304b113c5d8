"""Remarks on a recording for the user, one plain sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evio_ros.sources.event_clock import NOMINAL_GAP_US

if TYPE_CHECKING:
    from evio_ros.sources.readers.recording import Recording

__all__ = ["remarks_of"]

_SENTENCES: dict[str, str] = {
    "outside": "{} events outside the geometry dropped",
    "reordered": "{} events out of order, put right",
    "late": "{} events too far out of order, dropped",
    "outliers": "{} events whose time the others contradict, dropped",
    "invalid": "{} words or lines that are no event, or events before any time, dropped",
    "truncated_bytes": "cut off in mid-record: {} bytes too many at the end",
    "lost_packets": "{} packets were lost when it was recorded",
    "repeated_packets": "{} packets that are the same as the one before, dropped",
    "overflows": "{} overflows of a buffer, so that events are lost",
    "device_errors": "{} errors of the device, after which it was opened again",
    "triggers": "{} edges of external triggers",
}
_MOST_RESTARTS = 5


def remarks_of(recording: Recording) -> list[str]:
    """How a recording was interpreted, and what was counted while it was read.

    The recording's own remarks, then a sentence for each counter that is not 0 and for each restart
    of the sensor's clock.
    """
    statistics = recording.statistics
    found = list(recording.remarks)
    found += [
        sentence.format(getattr(statistics, name))
        for name, sentence in _SENTENCES.items()
        if getattr(statistics, name)
    ]
    for restart in statistics.restarts[:_MOST_RESTARTS]:
        if restart.gap_us is None:
            gap = f"after a gap of unknown length, shown as {NOMINAL_GAP_US * 1e-6:g} s"
        else:
            gap = f"after a gap of {restart.gap_us * 1e-6:.3f} s by the recorder's clock"
        found.append(f"the sensor's clock starts anew; time goes on at {restart.t_us} us, {gap}")
    if statistics.clock_restarts > _MOST_RESTARTS:
        found.append(f"{statistics.clock_restarts - _MOST_RESTARTS} more restarts of the clock")
    return found

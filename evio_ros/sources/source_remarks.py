"""Remarks on a recording for the user, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evio_ros.sources.event_clock import NOMINAL_GAP_US

if TYPE_CHECKING:
    from evio_ros.sources.readers.recording import Recording

__all__ = ["remarks_of"]

_SENTENCES: dict[str, str] = {
    "outside": "{} events outside the geometry dropped",
    "reordered": "{} events out of order, sorted",
    "late": "{} events too far out of order, dropped",
    "outliers": "{} events whose time contradicts the others, dropped",
    "invalid": "{} words or lines that are not events, or events before the first time, dropped",
    "truncated_bytes": "{} bytes at the end that are not a whole record, left out",
    "lost_packets": "{} packets were lost during the recording",
    "repeated_packets": "{} packets that repeat the previous one, dropped",
    "overflows": "{} buffer overflows, in which events were lost",
    "device_errors": "{} errors of the device, after which it was reopened",
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
        found.append(f"the sensor's clock restarts; time continues at {restart.t_us} us, {gap}")
    if statistics.clock_restarts > _MOST_RESTARTS:
        found.append(
            f"{statistics.clock_restarts - _MOST_RESTARTS} more restarts of the sensor's clock"
        )
    return found

"""Readout of the sensor: line by line, with delay and loss at high event rates.

Pixels request readout. An arbiter grants a line (row or column), and all requesting pixels of it
are read out with the time stamp of the grant (Boahen, TCAS-II 2000; Brandli et al., JSSC 2014). A
pixel with a pending request triggers no second event, so a saturated sensor loses events (Joubert
et al., Frontiers in Neuroscience 2021).
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["PENDING", "read_out"]

PENDING = -2.0
"""Time stamp of an event that is not yet read out."""
_LOST = -1.0
"""Time stamp of an event that is lost."""


@njit(cache=True, nogil=True)
def read_out(t_us, lines, pixels, line_us, event_us, free_us, until_us, requests, stamps):
    """Read out lines, that of the oldest event first, as long as grants begin before until_us.

    Args:
        t_us: float64 (n,), times of the events in µs, ascending.
        lines: int64 (n,), row or column of each.
        pixels: int64 (n,), index of the pixel of each.
        line_us: readout time of a line in µs.
        event_us: readout time of each of its events in µs.
        free_us: time in µs at which the arbiter becomes free.
        until_us: time in µs up to which `t_us` is complete.
        requests: bool (pixels,), pending requests; all False before and after.
        stamps: float64 (n,), filled with time stamps in µs, -1 for lost events, `PENDING` for those
            not yet read out.

    Returns:
        Time in µs at which the arbiter becomes free.
    """
    newest = np.full(lines.max() + 1 if len(lines) else 0, -1)  # newest requesting event per line
    before = np.full(len(t_us), -1)  # the requesting event before it on the same line
    stamps[:] = PENDING
    arrived = oldest = 0
    while oldest < len(t_us):
        if stamps[oldest] != PENDING:
            oldest += 1
            continue
        free_us = max(free_us, t_us[oldest])
        if free_us >= until_us:
            break
        while arrived < len(t_us) and t_us[arrived] <= free_us:
            if requests[pixels[arrived]]:
                stamps[arrived] = _LOST
            else:
                requests[pixels[arrived]] = True
                before[arrived] = newest[lines[arrived]]
                newest[lines[arrived]] = arrived
            arrived += 1
        stamp = free_us + line_us
        free_us = stamp
        event = newest[lines[oldest]]
        newest[lines[oldest]] = -1
        while event >= 0:
            stamps[event] = stamp
            requests[pixels[event]] = False
            free_us += event_us
            event = before[event]
    for event in range(arrived):
        requests[pixels[event]] = False
    return free_us

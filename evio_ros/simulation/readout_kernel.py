"""How events leave the sensor: line by line, and late where many come at once.

Pixels ask for readout; an arbiter grants a line, row or column, and all of its pixels that ask are
sent with the time stamp of the grant (Boahen, TCAS-II 2000; Brandli et al., JSSC 2014). A pixel
that asks already makes no second event until it is read, so that a sensor at its limit loses events
(Joubert et al., Frontiers in Neuroscience 2021).
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["read_out"]


@njit(cache=True, nogil=True)
def read_out(t_us, lines, pixels, line_us, event_us, free_us, until_us, asks, stamps):
    """Grant lines to events, the oldest first, as far as grants begin before until_us.

    Args:
        t_us: float64 (n,) times of the events, ascending.
        lines: int64 (n,) row or column of each.
        pixels: int64 (n,) pixel of each.
        line_us: time that a line takes.
        event_us: time that each of its events takes.
        free_us: when the arbiter becomes free.
        until_us: end of the time for which all events are there.
        asks: bool (pixels,), False; scratch, False again at the end.
        stamps: float64 (n,), filled with time stamps; -1 where an event is lost, -2 where it is not
            yet read.

    Returns:
        When the arbiter becomes free.
    """
    newest = np.full(lines.max() + 1 if len(lines) else 0, -1)  # that asks on each line
    before = np.full(len(t_us), -1)  # the event that asked before on the same line
    stamps[:] = -2.0
    arrived = oldest = 0
    while oldest < len(t_us):
        if stamps[oldest] != -2.0:
            oldest += 1
            continue
        free_us = max(free_us, t_us[oldest])
        if free_us >= until_us:
            break
        while arrived < len(t_us) and t_us[arrived] <= free_us:
            if asks[pixels[arrived]]:
                stamps[arrived] = -1.0
            else:
                asks[pixels[arrived]] = True
                before[arrived] = newest[lines[arrived]]
                newest[lines[arrived]] = arrived
            arrived += 1
        stamp = free_us + line_us
        free_us = stamp
        event = newest[lines[oldest]]
        newest[lines[oldest]] = -1
        while event >= 0:
            stamps[event] = stamp
            asks[pixels[event]] = False
            free_us += event_us
            event = before[event]
    for event in range(arrived):
        asks[pixels[event]] = False
    return free_us

"""Mixed-density event stack: sums of polarity over nested time spans that halve.

Nam, Mostafavi, Yoon and Choi, "Stereo Depth from Events Cameras: Concentrate and Focus on the
Future", CVPR 2022, section 3.1, with the sums and the division by time of RVT's preprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import SensorSize
from evio_ros.parameters import parameter
from evio_ros.representations.base import (
    BufferedRepresentation,
    RepresentationParameters,
    TensorArray,
    check_output,
)
from evio_ros.representations.time_bins import SPANS, span_of

__all__ = ["MixedDensity", "MixedDensityParameters"]

_LARGEST_SUM = 32767


@dataclass(frozen=True)
class MixedDensityParameters(RepresentationParameters):
    """Parameters of a mixed-density stack."""

    stacks: int = parameter(10, minimum=1, maximum=32, doc="Number of stacks.")
    anchor: str = parameter(
        "end",
        choices=("end", "start"),
        doc="What all stacks have in common. end: all end with the span, the whole span first "
        "(Nam et al.); start: all start with the span, the whole span last (RVT).",
    )
    cutoff: int = parameter(
        _LARGEST_SUM,
        unit="events",
        minimum=1,
        maximum=_LARGEST_SUM,
        doc="Sums saturate at +-cutoff.",
    )
    span: str = parameter(
        "events",
        choices=SPANS,
        doc="Time that is halved: from the first to the last event, or the whole window.",
    )


class MixedDensity(BufferedRepresentation):
    """Sums of polarity (ON +1, OFF -1) over the whole span, half of it, a quarter, and so on.

    Tensor: int16 (stacks, rows, columns), events; N stacks, u = (t - t_first) / max(t_last -
    t_first, 1), or with span "window" u = (t - start) / length:

    - anchor "end": stack k holds the events with u >= 1 - 2**-k; stack 0 holds all, the last stack
      the newest.
    - anchor "start": stack k holds the events with u < 2**-(N - 1 - k); stack N - 1 holds all,
      stack 0 the oldest.

    Comparisons are exact; sums saturate at +-cutoff. Batches are buffered and summed when the
    tensor is read, from the shortest stack to the longest, so that each event is added once.

    Args:
        size: geometry of the sensor.
        parameters: stacks, anchor, cutoff and span.
    """

    dtype = np.dtype(np.int16)

    def __init__(self, size: SensorSize, parameters: MixedDensityParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or MixedDensityParameters()
        self.shape = (self.parameters.stacks, size.height, size.width)
        self._sums = np.zeros(size.pixels, np.int16)

    def bin_edges_us(self) -> NDArray[np.int64]:
        """int64 (stacks + 1,), µs since the window's start: edges between the stacks.

        Anchor "end": stack k holds the events from edge k to the last edge. Anchor "start": stack k
        holds the events from edge 0 to edge k + 1. The last part includes its end.
        """
        return np.array(self._edges_us(), np.int64) - self._window.start_us

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        planes = out.reshape(self.parameters.stacks, -1)
        # Sums of two bytes fit into the cache better; four bytes are for extremely active pixels.
        if not self._fits(planes, self._sums):
            self._fits(planes, np.empty(self.size.pixels, np.int32))

    def _fits(self, planes: NDArray[np.int16], sums: NDArray[np.signedinteger]) -> bool:
        """Write the stacks; returns False if a sum has reached its type's limit."""
        largest, cutoff = np.iinfo(sums.dtype).max, self.parameters.cutoff
        sums.fill(0)
        for k, start_us, end_us in self.parts_us():
            for run in self._buffer.between(start_us, end_us):
                columns = (run.x, run.y, run.polarity)
                if _add_polarity(*columns, self.size.width, largest, sums):
                    return False
            _limit(sums, sums.dtype.type(-cutoff), sums.dtype.type(cutoff), planes[k])
        return True

    def _edges_us(self) -> list[int]:
        origin_us, span_us = span_of(self._window, self.parameters.span)
        stacks = range(self.parameters.stacks)
        if self.parameters.anchor == "end":
            # u >= 1 - 2**-k is t >= origin + span - floor(span / 2**k).
            return [origin_us + span_us - (span_us >> k) for k in stacks] + [origin_us + span_us]
        # u < 2**-k is t < origin + ceil(span / 2**k).
        return [origin_us] + [origin_us - (-span_us >> k) for k in reversed(stacks)]

    def parts_us(self) -> list[tuple[int, int, int]]:
        """Stack, first microsecond and end of the events that it adds to the next shorter one.

        From the shortest stack to the longest.
        """
        edges_us = self._edges_us()
        edges_us[-1] = self._window.end_us
        parts = [(k, edges_us[k], edges_us[k + 1]) for k in range(self.parameters.stacks)]
        return parts[::-1] if self.parameters.anchor == "end" else parts


@njit(cache=True, nogil=True)
def _add_polarity(x, y, polarity, width, largest, sums):
    """Add +1 for ON and -1 for OFF; returns whether a sum has reached +-largest."""
    full = False
    for i in range(x.size):
        index = np.int64(y[i]) * width + x[i]
        total = np.int64(sums[index]) + 2 * polarity[i] - 1
        sums[index] = total
        full |= abs(total) >= largest
    return full


@njit(cache=True, nogil=True)
def _limit(sums, least, most, plane):
    for j in range(sums.size):
        plane[j] = min(max(sums[j], least), most)

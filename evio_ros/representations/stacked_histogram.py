"""Stacked histogram: counts by polarity and time bin, the input of recurrent vision transformers.

Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event Cameras",
CVPR 2023, section 3.1 and the published preprocessing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, SensorSize
from evio_ros.parameters import parameter
from evio_ros.representations.base import (
    BufferedRepresentation,
    RepresentationParameters,
    TensorArray,
    check_output,
)
from evio_ros.representations.time_bins import SPANS, even_edges, span_of

__all__ = ["StackedHistogram", "StackedHistogramParameters"]

_BLOCK = 4096
_LARGEST_NIBBLE = 15


@dataclass(frozen=True)
class StackedHistogramParameters(RepresentationParameters):
    """Parameters of a stacked histogram; the defaults are those of RVT."""

    bins: int = parameter(10, minimum=1, maximum=1000, doc="Time bins of each polarity.")
    cutoff: int = parameter(
        10, unit="events", minimum=1, maximum=255, doc="Counts saturate at this value."
    )
    downsample: int = parameter(
        1,
        minimum=1,
        maximum=2,
        doc="With 2, only pixels with odd column and row are kept, as RVT does for 1 megapixel.",
    )
    span: str = parameter(
        "events",
        choices=SPANS,
        doc="Time that the bins divide: from the first to the last event, or the whole window.",
    )


class StackedHistogram(BufferedRepresentation):
    """Counts of events by polarity, time bin and pixel.

    Tensor: uint8 (2 * bins, rows, columns), events. Channel = polarity * bins + bin, OFF first; bin
    = min(floor((t - t_first) * bins / max(t_last - t_first, 1)), bins - 1) in exact arithmetic,
    with the first and last event of the window (span "events") or the window's start and length
    (span "window"). Counts saturate at `cutoff`. With `downsample` 2, rows and columns are
    floor(side / 2), and output pixel d is input pixel 2 d + 1 ("nearest-exact"): one pixel in four
    is kept, nothing is summed.

    As the bins depend on the last event, batches are buffered and counted when the tensor is read.
    Bins are runs of events, found by bisection, and each run touches only one or two planes.

    Args:
        size: geometry of the sensor.
        parameters: bins, cutoff, downsampling and span.

    Raises:
        EventError: if `downsample` leaves no pixel.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, size: SensorSize, parameters: StackedHistogramParameters | None = None
    ) -> None:
        super().__init__(size)
        self.parameters = parameters or StackedHistogramParameters()
        step = self.parameters.downsample
        self.output_size = SensorSize(size.width // step, size.height // step)
        self.shape = (2 * self.parameters.bins, self.output_size.height, self.output_size.width)
        self._kept = np.empty(_BLOCK, np.int64)
        self._pairs = np.zeros(self.output_size.pixels, np.uint8)

    def bin_edges_us(self) -> NDArray[np.int64]:
        """int64 (bins + 1,), µs since the window's start; the last bin includes its end."""
        return self._edges_us() - self._window.start_us

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        bins = self.parameters.bins
        planes = out.reshape(2 * bins, -1)
        runs_us = self.runs_us()
        for b in range(bins):
            runs = self._buffer.between(runs_us[b], runs_us[b + 1])
            if self.parameters.downsample == 1 and self.parameters.cutoff <= _LARGEST_NIBBLE:
                self._read_pairs(runs, planes[b], planes[bins + b])
            else:
                self._read_planes(runs, b, planes)

    def _read_pairs(
        self, runs: Iterator[EventBatch], off: NDArray[np.uint8], on: NDArray[np.uint8]
    ) -> None:
        """Count both polarities of a pixel in one byte: random accesses then fit into the cache."""
        for run in runs:
            columns = (run.x, run.y, run.polarity)
            _count_pairs(*columns, self._pairs, self.size.width, self.parameters.cutoff)
        _part(self._pairs, off, on)

    def _read_planes(self, runs: Iterator[EventBatch], b: int, planes: NDArray[np.uint8]) -> None:
        bins, width = self.parameters.bins, self.output_size.width
        # Cleared just before use, the two planes are in the cache when events are counted.
        planes[b] = 0
        planes[bins + b] = 0
        on_offset = bins * planes.shape[1]
        layout = (planes[b:].reshape(-1), width, on_offset, self.parameters.cutoff)
        for run in runs:
            if self.parameters.downsample == 1:
                _count(run.x, run.y, run.polarity, *layout)
            else:
                _count_odd_pixels(run.x, run.y, run.polarity, *layout, self._kept)

    def _edges_us(self) -> NDArray[np.int64]:
        origin_us, span_us = span_of(self._window, self.parameters.span)
        return even_edges(origin_us, span_us, self.parameters.bins)

    def runs_us(self) -> list[int]:
        """First microsecond of the events of each bin, and the end of those of the last bin."""
        edges_us = self._edges_us().tolist()
        edges_us[-1] = self._window.end_us
        return edges_us


@njit(cache=True, nogil=True)
def _count_pairs(x, y, polarity, pairs, width, cutoff):
    """Count OFF in the lower and ON in the upper half of a byte."""
    for i in range(x.size):
        index = np.int64(y[i]) * width + x[i]
        shift = 4 * np.int64(polarity[i])
        pair = np.int64(pairs[index])
        pairs[index] = pair + (np.int64(((pair >> shift) & _LARGEST_NIBBLE) < cutoff) << shift)


@njit(cache=True, nogil=True)
def _part(pairs, off, on):
    """Write both halves of the bytes to their planes, and clear them."""
    for j in range(pairs.size):
        pair = pairs[j]
        pairs[j] = 0
        off[j] = pair & np.uint8(_LARGEST_NIBBLE)
        on[j] = pair >> np.uint8(4)


@njit(cache=True, nogil=True)
def _count(x, y, polarity, planes, width, on_offset, cutoff):
    for i in range(x.size):
        index = np.int64(y[i]) * width + x[i] + polarity[i] * on_offset
        count = planes[index]
        planes[index] = count + np.uint8(count < cutoff)


@njit(cache=True, nogil=True)
def _count_odd_pixels(x, y, polarity, planes, width, on_offset, cutoff, kept):
    # First collect the indices of kept events without branches, then count.
    for start in range(0, x.size, kept.size):
        number = np.int64(0)
        for i in range(start, min(start + kept.size, x.size)):
            index = np.int64(y[i] >> 1) * width + (x[i] >> 1)
            kept[number] = index + polarity[i] * on_offset
            number += np.int64(x[i] & y[i] & 1)
        for k in range(number):
            count = planes[kept[k]]
            planes[kept[k]] = count + np.uint8(count < cutoff)

"""Voxel grid: events by time bin, as counts or with bilinear weights.

Zhu, Yuan, Chaney and Daniilidis, "Unsupervised Event-based Learning of Optical Flow, Depth, and
Egomotion", CVPR 2019, equations 1 to 3; Lenz et al., Tonic 1.4, `to_voxel_grid_numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

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

__all__ = ["LARGEST_COUNT", "VoxelGrid", "VoxelGridParameters"]

LARGEST_COUNT = 32767


@dataclass(frozen=True)
class VoxelGridParameters(RepresentationParameters):
    """Parameters of a voxel grid."""

    bins: int = parameter(5, minimum=1, maximum=1000, doc="Time bins.")
    weighting: str = parameter(
        "bilinear",
        choices=("bilinear", "bilinear_tonic", "count"),
        doc="How events are weighted. bilinear: Zhu et al. 2019, first and last bin centred on "
        "first and last event; bilinear_tonic: as Tonic and evlib, bins centred on their "
        "starts; count: not weighted.",
    )
    span: str = parameter(
        "events",
        choices=SPANS,
        doc="Time that the bins divide: from the first to the last event, or the whole window.",
    )


class VoxelGrid(BufferedRepresentation):
    """Events by time bin and pixel.

    Tensor (bins, rows, columns), B bins, u = (t - t_first) / max(t_last - t_first, 1), or with span
    "window" u = (t - start) / length:

    - "bilinear": float32, sum of polarities (ON +1, OFF -1) with weight
      max(0, 1 - |b - (B - 1) u|) in bin b: Zhu et al., equations 1 to 3.
    - "bilinear_tonic": float32, the same with B u in place of (B - 1) u. Weight beyond the last bin
      is lost: half of the weight of the last bin, and all of the last event's.
    - "count": int16, number of events of both polarities with min(floor(B u), B - 1) = b; saturates
      at 32767.

    Weights are summed as integer multiples of 1 / span, so the order of events does not matter. A
    sum is rounded to float32 once, when its bin's own events are added to those of the previous bin
    (and once more for each `Packing.largest_portion` of events, over a million for spans of up to 1
    s).

    As the bins depend on the last event, batches are buffered and summed when the tensor is read,
    bin by bin, so that only one or two planes are in use at a time.

    Args:
        size: geometry of the sensor.
        parameters: bins, weighting and span.
    """

    def __init__(self, size: SensorSize, parameters: VoxelGridParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or VoxelGridParameters()
        self.shape = (self.parameters.bins, size.height, size.width)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        # The operating system does not allocate memory that is never written.
        self._low = np.zeros(size.pixels, np.uint8)
        self._high = np.zeros(size.pixels, np.uint8)
        self._sums = np.zeros(size.pixels, np.int64)
        if self.parameters.weighting == "count":
            self.dtype = np.dtype(np.int16)

    def bin_edges_us(self) -> NDArray[np.int64]:
        """Edges int64 (bins + 1,) for counts, or centres int64 (bins,) for bilinear weights."""
        edges_us = self._edges_us() - self._window.start_us
        if self.parameters.weighting == "count":
            return edges_us
        return edges_us[: self.parameters.bins]

    @property
    def steps(self) -> int:
        """Number of steps between centres that the span is divided into."""
        bins = self.parameters.bins
        return bins - 1 if self.parameters.weighting == "bilinear" else bins

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        planes = out.reshape(self.parameters.bins, -1)
        if self.parameters.weighting == "count":
            self._read_counts(planes)
        else:
            self._read_weights(planes)

    def _edges_us(self) -> NDArray[np.int64]:
        """Edges or centres: the first microsecond of every step, and the end of the last."""
        origin_us, span_us = span_of(self._window, self.parameters.span)
        return even_edges(origin_us, span_us, max(self.steps, 1))

    def runs_us(self) -> list[int]:
        """First microsecond of the events of each bin, and the end of those of the last bin."""
        edges_us = self._edges_us().tolist()
        if self.parameters.weighting == "bilinear":
            if self.steps == 0:
                return [edges_us[0], self._window.end_us]
            return [*edges_us, self._window.end_us]
        if self.parameters.weighting == "count":
            edges_us[-1] = self._window.end_us
        return edges_us

    def _read_counts(self, planes: NDArray[np.int16]) -> None:
        runs_us = self.runs_us()
        for b, plane in enumerate(planes):
            # A plane of bytes fits into the cache, a plane of the output does not.
            self._low.fill(0)
            carried = False
            for run in self._buffer.between(runs_us[b], runs_us[b + 1]):
                carried |= _count(run.x, run.y, self.size.width, self._low, self._high)
            if carried:
                _join_bytes(self._low, self._high, plane)
                self._high.fill(0)
            else:
                np.copyto(plane, self._low)

    def packing(self) -> Packing:
        """How weights are packed for the current window."""
        return Packing.of(*span_of(self._window, self.parameters.span), self.steps)

    def _read_weights(self, planes: NDArray[np.float32]) -> None:
        runs_us = self.runs_us()
        packing = self.packing()
        planes[0] = 0
        for b, plane in enumerate(planes):
            following = planes[b + 1] if b + 1 < len(planes) else planes[0, :0]
            following[:] = 0
            for portion in self._portions(runs_us[b], runs_us[b + 1], packing.largest_portion):
                for part in portion:
                    columns = (part.t, part.x, part.y, part.polarity)
                    _add_packed(*columns, self.size.width, b, packing, self._sums)
                _spread(self._sums, packing, plane, following)

    def _portions(self, start_us: int, end_us: int, largest: int) -> Iterator[list[EventBatch]]:
        """The events of a bin in lists of batches of at most `largest` events each."""
        portion: list[EventBatch] = []
        room = largest
        for run in self._buffer.between(start_us, end_us):
            while len(run) > room:
                yield [*portion, run.slice(0, room)]
                run = run.slice(room, len(run))
                portion, room = [], largest
            portion.append(run)
            room -= len(run)
        yield portion


class Packing(NamedTuple):
    """Packs two exact sums of a pixel into one int64, so that an event costs one memory access.

    An event of polarity s = +1 or -1 at the fraction n / span between the centres of two bins adds
    s * (2**shift + n): the upper bits sum s, the lower ones s * n.

    Attributes:
        origin_us, span_us: origin and length in µs of the time that the bins divide.
        steps: number of steps between centres in it.
        shift: number of bits of the lower sum.
        largest_portion: maximum number of events for which neither sum can overflow.
    """

    origin_us: int
    span_us: int
    steps: int
    shift: int
    largest_portion: int

    @classmethod
    def of(cls, origin_us: int, span_us: int, steps: int) -> Packing:
        """The packing for a span: 4 portion**2 span stays below 2**63."""
        portion = math.isqrt((1 << 60) // span_us)
        return cls(origin_us, span_us, steps, (portion * span_us).bit_length() + 1, portion)


@njit(cache=True, nogil=True)
def _count(x, y, width, low, high):
    """Count in two bytes, of which the upper one is touched only when the lower one is full."""
    carried = False
    for i in range(x.size):
        index = np.int64(y[i]) * width + x[i]
        count = low[index]
        if count < 255:
            low[index] = count + np.uint8(1)
        elif high[index] < 127:
            low[index] = 0
            high[index] += np.uint8(1)
            carried = True
    return carried


@njit(cache=True, nogil=True)
def _join_bytes(low, high, plane):
    for j in range(plane.size):
        plane[j] = np.int16(high[j]) * np.int16(256) + np.int16(low[j])


@njit(cache=True, nogil=True)
def _add_packed(t, x, y, polarity, width, time_bin, packing, sums):
    one = np.int64(1) << packing.shift
    base = time_bin * packing.span_us
    for i in range(t.size):
        value = one + ((t[i] - packing.origin_us) * packing.steps - base)
        sums[np.int64(y[i]) * width + x[i]] += value if polarity[i] else -value


@njit(cache=True, nogil=True)
def _spread(sums, packing, plane, following):
    """Add the sums to the bin and the next one, and clear them."""
    half = np.int64(1) << (packing.shift - 1)
    weight = 1.0 / packing.span_us
    for j in range(sums.size):
        polarity = (sums[j] + half) >> packing.shift
        later = (sums[j] - (polarity << packing.shift)) * weight
        sums[j] = 0
        plane[j] += polarity - later
        if following.size:
            following[j] += later

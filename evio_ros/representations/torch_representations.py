"""The representations implemented in PyTorch, on the CPU or a CUDA device.

Each class differs from its parent only in where tensors are computed. Results are equal, except for
the rounding of float32 sums in `TorchActivity`. `tensor` returns what `read` would write, on the
device and without a copy to the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.activity import NEGLIGIBLE, Activity, ActivityParameters
from evio_ros.representations.base import Representation, TensorArray, check_output
from evio_ros.representations.decay import DecayTable
from evio_ros.representations.event_frame import EventFrame, EventFrameParameters
from evio_ros.representations.mixed_density import MixedDensity
from evio_ros.representations.open_window import NEVER_US
from evio_ros.representations.stacked_histogram import StackedHistogram
from evio_ros.representations.time_bins import span_of
from evio_ros.representations.time_surface import TimeSurface, TimeSurfaceParameters
from evio_ros.representations.voxel_grid import LARGEST_COUNT, VoxelGrid

if TYPE_CHECKING:
    import torch

__all__ = [
    "TorchActivity",
    "TorchEventFrame",
    "TorchMixedDensity",
    "TorchStackedHistogram",
    "TorchTimeSurface",
    "TorchVoxelGrid",
]


def _open_device(name: str) -> torch.device:
    """The device "cpu" or "cuda" of PyTorch.

    Raises:
        ParameterError: if PyTorch or the GPU is missing.
    """
    try:
        import torch
    except ImportError:
        raise ParameterError(
            f"device: {name} needs PyTorch, which is not installed: pip install torch"
        ) from None
    if name == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device: cuda needs a graphics card, and PyTorch finds none")
    return torch.device(name)


class _Columns(NamedTuple):
    """A batch on a device: int64 (n,) columns, t in µs since an origin, polarity 0 or 1."""

    t: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    polarity: torch.Tensor

    @classmethod
    def of(cls, events: EventBatch, origin_us: int, device: torch.device) -> _Columns:
        """Copy a batch to a device; two-byte columns are widened there."""
        import torch

        def widened(column: NDArray) -> torch.Tensor:
            return torch.from_numpy(column.copy()).to(device).to(torch.int64)

        return cls(
            torch.from_numpy(events.t - origin_us).to(device),
            widened(events.x.view(np.int16)) & 0xFFFF,
            widened(events.y.view(np.int16)) & 0xFFFF,
            widened(events.polarity.view(np.uint8)),
        )

    @property
    def sign(self) -> torch.Tensor:
        """+1 for ON, -1 for OFF."""
        return 2 * self.polarity - 1


def _count(counts: torch.Tensor, index: torch.Tensor) -> None:
    """Add 1 at every index of a flat tensor of integers."""
    counts.scatter_add_(0, index, counts.new_ones(1).expand(len(index)))


class _WithTensor(Representation, Protocol):
    """A representation whose tensor is on a device."""

    def tensor(self) -> torch.Tensor:
        """The tensor of what has been pushed."""
        ...


class _OnDevice:
    """Mixin that computes the tensor on a device; the other parent is the numba implementation."""

    def __init__(self, size: SensorSize, parameters: Any) -> None:
        super().__init__(size, parameters)  # type: ignore[call-arg]
        self._device = _open_device(parameters.device)

    def read(self: _WithTensor, out: TensorArray) -> None:
        """See `Representation.read`."""
        import torch

        check_output(out, self.shape, self.dtype)
        torch.from_numpy(out).copy_(self.tensor())


class TorchStackedHistogram(_OnDevice, StackedHistogram):
    """`StackedHistogram` on a device."""

    def tensor(self) -> torch.Tensor:
        """The tensor of what has been pushed: uint8, on the device."""
        import torch

        bins, step = self.parameters.bins, self.parameters.downsample
        origin_us, span_us = span_of(self._window, self.parameters.span)
        _, rows, columns = self.shape
        counts = torch.zeros(2 * bins * rows * columns, dtype=torch.int32, device=self._device)
        for batch in self._buffer:
            t, x, y, polarity = _Columns.of(batch, origin_us, self._device)
            time_bin = torch.clamp(t * bins // span_us, max=bins - 1)
            index = ((polarity * bins + time_bin) * rows + y // step) * columns + x // step
            if step == 2:
                index = index[(x & y & 1).bool()]
            _count(counts, index)
        return counts.clamp_(max=self.parameters.cutoff).to(torch.uint8).reshape(self.shape)


class TorchVoxelGrid(_OnDevice, VoxelGrid):
    """`VoxelGrid` on a device."""

    def tensor(self) -> torch.Tensor:
        """The tensor of what has been pushed: int16 or float32, on the device."""
        if self.parameters.weighting == "count":
            return self._counts().reshape(self.shape)
        return self._weights().reshape(self.shape)

    def _counts(self) -> torch.Tensor:
        import torch

        bins = self.parameters.bins
        origin_us, span_us = span_of(self._window, self.parameters.span)
        counts = torch.zeros(bins * self.size.pixels, dtype=torch.int32, device=self._device)
        for batch in self._buffer:
            t, x, y, _ = _Columns.of(batch, origin_us, self._device)
            time_bin = torch.clamp(t * bins // span_us, max=bins - 1)
            _count(counts, (time_bin * self.size.height + y) * self.size.width + x)
        return counts.clamp_(max=LARGEST_COUNT).to(torch.int16)

    def _weights(self) -> torch.Tensor:
        import torch

        shape = (self.parameters.bins, self.size.pixels)
        packing = self.packing()
        planes = torch.zeros(shape, dtype=torch.float32, device=self._device)
        window = self._window
        for portion in self._portions(window.start_us, window.end_us, packing.largest_portion):
            sums = torch.zeros(shape, dtype=torch.int64, device=self._device)
            for part in portion:
                columns = _Columns.of(part, packing.origin_us, self._device)
                steps = columns.t * packing.steps
                time_bin = steps // packing.span_us
                value = (1 << packing.shift) + (steps - time_bin * packing.span_us)
                index = (time_bin * self.size.height + columns.y) * self.size.width + columns.x
                inside = time_bin < self.parameters.bins
                sums.view(-1).index_add_(0, index[inside], (columns.sign * value)[inside])
            polarity = (sums + (1 << (packing.shift - 1))) >> packing.shift
            later = (sums - (polarity << packing.shift)).double() * (1.0 / packing.span_us)
            planes[1:] += later[:-1].float()
            planes = (planes.double() + (polarity.double() - later)).float()
        return planes


class TorchMixedDensity(_OnDevice, MixedDensity):
    """`MixedDensity` on a device."""

    def tensor(self) -> torch.Tensor:
        """The tensor of what has been pushed: int16, on the device."""
        import torch

        cutoff = self.parameters.cutoff
        sums = torch.zeros(self.size.pixels, dtype=torch.int64, device=self._device)
        planes = torch.empty(self.shape, dtype=torch.int16, device=self._device)
        for k, start_us, end_us in self.parts_us():
            for run in self._buffer.between(start_us, end_us):
                columns = _Columns.of(run, start_us, self._device)
                sums.index_add_(0, columns.y * self.size.width + columns.x, columns.sign)
            planes[k] = sums.clamp(-cutoff, cutoff).reshape(self.shape[1:])
        return planes


class TorchEventFrame(_OnDevice, EventFrame):
    """`EventFrame` on a device."""

    def __init__(self, size: SensorSize, parameters: EventFrameParameters) -> None:
        super().__init__(size, parameters)
        self._pushed = _zeros_like(self._carried, self._device)

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`."""
        super().begin(start_us, length_us)
        self._pushed.zero_()

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = _Columns.of(events, 0, self._device)
            _count(self._pushed.view(-1), _polarity_index(columns, self.size))

    def tensor(self) -> torch.Tensor:
        """The counts so far: int32, on the device."""
        self._window.check_open()
        return self._pushed


class TorchTimeSurface(_OnDevice, TimeSurface):
    """`TimeSurface` on a device."""

    def __init__(self, size: SensorSize, parameters: TimeSurfaceParameters) -> None:
        super().__init__(size, parameters)
        import torch

        self._decay = _Decay.of(self._table, self._device)
        self._times_us = torch.full(self.shape, NEVER_US, device=self._device)

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = _Columns.of(events, 0, self._device)
            index = _polarity_index(columns, self.size)
            # Writes to one pixel have no defined order on a device, so the maximum is taken.
            self._times_us.view(-1).scatter_reduce_(0, index, columns.t, "amax")

    def tensor(self) -> torch.Tensor:
        """The surface at the window's end: float32, on the device."""
        return self._decay.weights(self._window.end_us - self._times_us).float()

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._times_us.fill_(NEVER_US)


class TorchActivity(_OnDevice, Activity):
    """`Activity` on a device."""

    def __init__(self, size: SensorSize, parameters: ActivityParameters) -> None:
        super().__init__(size, parameters)
        self._decay = _Decay.of(self._table, self._device)
        self._weights = _zeros_like(self._sums, self._device)

    def _fade(self, remaining: np.float32) -> None:
        self._weights *= float(remaining)
        self._weights[self._weights < NEGLIGIBLE] = 0.0

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = _Columns.of(events, 0, self._device)
            weights = self._decay.weights(self._window.end_us - columns.t).float()
            self._weights.view(-1).index_add_(0, _polarity_index(columns, self.size), weights)

    def tensor(self) -> torch.Tensor:
        """The sums so far: float32, on the device."""
        self._window.check_open()
        return self._weights

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._weights.zero_()


class _Decay(NamedTuple):
    """`DecayTable` on a device."""

    coarse: torch.Tensor
    fine: torch.Tensor
    fine_bits: int

    @classmethod
    def of(cls, table: DecayTable, device: torch.device) -> _Decay:
        """Copy a table to a device."""
        import torch

        coarse, fine = torch.from_numpy(table.coarse), torch.from_numpy(table.fine)
        return cls(coarse.to(device), fine.to(device), table.fine_bits)

    def weights(self, age_us: torch.Tensor) -> torch.Tensor:
        """exp(-age / tau): float64."""
        age_us = age_us.clamp(max=(len(self.coarse) - 1) << self.fine_bits)
        return self.coarse[age_us >> self.fine_bits] * self.fine[age_us & (len(self.fine) - 1)]


def _zeros_like(array: TensorArray, device: torch.device) -> torch.Tensor:
    import torch

    return torch.zeros_like(torch.from_numpy(array), device=device)


def _polarity_index(columns: _Columns, size: SensorSize) -> torch.Tensor:
    """Index into a flat (2, rows, columns), OFF first."""
    return (columns.polarity * size.height + columns.y) * size.width + columns.x

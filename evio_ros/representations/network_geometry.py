"""Mapping the sensor's pixels to a network's input and back: crop, downsample, pad.

The published preprocessing of RVT halves 1 megapixel by "nearest-exact" and pads with zeros at the
bottom and on the right. Boxes are mapped in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import RegionOfInterest, SensorSize
from evio_ros.representations.base import TensorArray, check_output

__all__ = ["NetworkGeometry"]


@dataclass(frozen=True, slots=True)
class NetworkGeometry:
    """A rectangle of the sensor, downsampled by an integer, in the upper left of a network's input.

    Attributes:
        sensor: geometry of the sensor.
        region: the part of the sensor that the network sees.
        downsample: step between the pixels kept along each axis: input pixel d is pixel floor((d +
            0.5) * downsample) of the region ("nearest-exact"); nothing is summed.
        network: geometry of the network's input; the rest is filled with zeros.

    Raises:
        ParameterError: if the region exceeds the sensor, `downsample` is below 1 or leaves no
            pixel, or the network's input is too small.
    """

    sensor: SensorSize
    region: RegionOfInterest
    downsample: int
    network: SensorSize

    def __post_init__(self) -> None:
        region = self.region
        if region.x1 > self.sensor.width or region.y1 > self.sensor.height:
            raise ParameterError(
                f"region ({region.x0}, {region.y0})-({region.x1}, {region.y1}) exceeds the "
                f"{self.sensor} sensor"
            )
        if self.downsample < 1:
            raise ParameterError(f"downsample: {self.downsample} is below the minimum 1")
        columns, rows = self._kept
        if columns < 1 or rows < 1:
            raise ParameterError(f"downsample: {self.downsample} leaves no pixel of the region")
        if columns > self.network.width or rows > self.network.height:
            raise ParameterError(
                f"a network input of {self.network} does not hold {columns}x{rows} pixels"
            )

    @classmethod
    def padded(
        cls,
        sensor: SensorSize,
        *,
        region: RegionOfInterest | None = None,
        downsample: int = 1,
        multiple: int = 64,
    ) -> NetworkGeometry:
        """The smallest input whose sides are multiples of `multiple`.

        Args:
            sensor: geometry of the sensor.
            region: the part that the network sees; None for the whole sensor.
            downsample: e.g. 2, as RVT uses for 1 megapixel.
            multiple: at least 1; 64 suits every RVT network.

        Raises:
            ParameterError: see the class; also if `multiple` is below 1.
        """
        if multiple < 1:
            raise ParameterError(f"multiple: {multiple} is below the minimum 1")
        if downsample < 1:
            raise ParameterError(f"downsample: {downsample} is below the minimum 1")
        seen = region or RegionOfInterest(0, 0, sensor.width, sensor.height)
        columns = max((seen.x1 - seen.x0) // downsample, 1)
        rows = max((seen.y1 - seen.y0) // downsample, 1)
        network = SensorSize(-(-columns // multiple) * multiple, -(-rows // multiple) * multiple)
        return cls(sensor, seen, downsample, network)

    @property
    def _kept(self) -> tuple[int, int]:
        """Columns and rows of the input that the region fills."""
        region = self.region
        columns = (region.x1 - region.x0) // self.downsample
        return columns, (region.y1 - region.y0) // self.downsample

    def apply(self, tensor: TensorArray, out: TensorArray) -> None:
        """Map a tensor of the whole sensor to the network's input.

        Args:
            tensor: (..., sensor rows, sensor columns).
            out: (..., network rows, network columns), of the same type; the padding is set to zero.

        Raises:
            ParameterError: if a shape or type does not fit.
        """
        rows_columns = (self.sensor.height, self.sensor.width)
        if tensor.shape[-2:] != rows_columns:
            raise ParameterError(
                f"tensor is {tensor.shape}, but its last axes must be {rows_columns}"
            )
        shape = (*tensor.shape[:-2], self.network.height, self.network.width)
        check_output(out, shape, tensor.dtype)
        columns, rows = self._kept
        first, step, region = self.downsample // 2, self.downsample, self.region
        seen = tensor[..., region.y0 + first : region.y1, region.x0 + first : region.x1]
        out[..., :rows, :columns] = seen[..., ::step, ::step][..., :rows, :columns]
        out[..., rows:, :] = 0
        out[..., :rows, columns:] = 0

    def boxes_to_network(self, boxes: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map boxes from the sensor to the network's input.

        Args:
            boxes: (n, 4), x0, y0, x1, y1 in pixels, pixel i from i to i + 1; they are not clipped.

        Returns:
            float64 (n, 4), in pixels of the network's input.

        Raises:
            ParameterError: if the shape is wrong.
        """
        return (_checked(boxes) - self._corner) / self.downsample

    def boxes_to_sensor(self, boxes: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map boxes from the network's input to the sensor, the inverse of `boxes_to_network`."""
        return _checked(boxes) * self.downsample + self._corner

    @property
    def _corner(self) -> NDArray[np.float64]:
        return np.array([self.region.x0, self.region.y0] * 2, np.float64)


def _checked(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ParameterError(f"boxes are {boxes.shape}, not (n, 4)")
    return np.asarray(boxes, np.float64)

"""Configuration of an RVT network: everything that defines it besides its weights.

Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event Cameras", CVPR
2023, table 1 and the published configurations. Dimensions that do not follow from the weights (the
width of an attention head, the partition) cause no error when they are wrong, only wrong boxes, so
they are stored with the weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize

__all__ = ["GEN1", "GEN4", "STRIDES", "VARIANTS", "RvtConfiguration"]

STRIDES = (8, 16, 32)
"""Spacing in pixels of the places at which boxes are predicted, for each of the three levels."""
_DEEPEST_STRIDE = 32


@dataclass(frozen=True, slots=True)
class _Variant:
    """A size variant of the network.

    Attributes:
        embedding: channels of the first stage; each further stage has twice as many.
        head: channels of an attention head.
        pyramid_depth: number of bottlenecks in a block of the feature pyramid, divided by three.
    """

    embedding: int
    head: int
    pyramid_depth: float


VARIANTS = {
    "nano": _Variant(16, 16, 0.33),
    "tiny": _Variant(32, 32, 0.33),
    "small": _Variant(48, 24, 0.33),
    "base": _Variant(64, 32, 0.67),
}
"""Variants by name: one of 1.1 million parameters, and the published ones of 4.4, 9.9 and 18.5
million."""


@dataclass(frozen=True, slots=True)
class RvtConfiguration:
    """An RVT network without its weights.

    Attributes:
        variant: a name in `VARIANTS`.
        classes: names of the classes, in the network's order.
        input_size: geometry of the network's input, padded with zeros if the sensor is smaller.
        partition_split: number of parts along each axis into which the deepest map is divided for
            attention.
        downsample: step between the pixels kept along each axis of the sensor used for training.
        bins: number of time bins of each polarity.
        cutoff: count at which an element of the input saturates.
        window_us: time span of an input in µs.

    Raises:
        ParameterError: if a field is out of range or does not fit the others.
    """

    variant: str
    classes: tuple[str, ...]
    input_size: SensorSize
    partition_split: int
    downsample: int = 1
    bins: int = 10
    cutoff: int = 10
    window_us: int = 50_000

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ParameterError(
                f"variant: {self.variant!r} is none of {', '.join(sorted(VARIANTS))}"
            )
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ParameterError(f"classes: {self.classes} are not distinct names")
        for name in ("partition_split", "downsample", "bins", "cutoff", "window_us"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name}: {value!r} is not a whole number above 0")
        unit = _DEEPEST_STRIDE * self.partition_split
        if self.input_size.width % unit or self.input_size.height % unit:
            raise ParameterError(
                f"input_size: the sides of {self.input_size} are not multiples of {unit}, "
                f"{_DEEPEST_STRIDE} times partition_split"
            )

    @property
    def dimensions(self) -> _Variant:
        """The variant's numbers of channels and depth."""
        return VARIANTS[self.variant]

    @property
    def partition(self) -> tuple[int, int]:
        """Rows and columns of a partition within which attention acts, at every stage."""
        unit = _DEEPEST_STRIDE * self.partition_split
        return self.input_size.height // unit, self.input_size.width // unit

    @property
    def channels(self) -> int:
        """Number of channels of the input: OFF by time bin, then ON."""
        return 2 * self.bins

    def to_text(self) -> str:
        """The configuration as one line of JSON, as stored in model files."""
        return json.dumps(
            {
                "variant": self.variant,
                "classes": list(self.classes),
                "input_size": [self.input_size.width, self.input_size.height],
                "partition_split": self.partition_split,
                "downsample": self.downsample,
                "bins": self.bins,
                "cutoff": self.cutoff,
                "window_us": self.window_us,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> RvtConfiguration:
        """The inverse of `to_text`.

        Raises:
            ParameterError: if the text is not such a line, or a value does not fit.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            width, height = fields.pop("input_size")
            classes = tuple(str(name) for name in fields.pop("classes"))
            return cls(classes=classes, input_size=SensorSize(width, height), **fields)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"not a network configuration: {error}") from error


GEN1 = RvtConfiguration("tiny", ("car", "pedestrian"), SensorSize(320, 256), 1)
"""The published tiny network for Prophesee's Gen1 data set: 304x240 pixels."""
GEN4 = RvtConfiguration(
    "tiny", ("pedestrian", "two-wheeler", "car"), SensorSize(640, 384), 2, downsample=2
)
"""The published tiny network for the 1 Mpx data set: 1280x720 pixels, of which every fourth is
used."""

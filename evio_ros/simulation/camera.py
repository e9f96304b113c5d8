"""The simulated sensor."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.events import SensorSize
from evio_ros.parameters import Parameters, parameter

__all__ = ["SensorParameters"]


@dataclass(frozen=True)
class SensorParameters(Parameters):
    """Properties of the simulated sensor; by default a modern camera in good light."""

    width: int = parameter(1280, unit="px", minimum=1, maximum=16384, doc="Columns of the sensor.")
    height: int = parameter(720, unit="px", minimum=1, maximum=16384, doc="Rows of the sensor.")
    threshold_on: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Rise of log intensity that makes an ON event."
    )
    threshold_off: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Fall of log intensity that makes an OFF event."
    )
    threshold_mismatch: float = parameter(
        0.04, minimum=0.0, maximum=0.5, doc="Standard deviation of the thresholds over the pixels."
    )
    cutoff_hz: float = parameter(
        3000.0, unit="Hz", minimum=1.0, maximum=1e6, doc="Low-pass of the photoreceptors."
    )
    refractory_us: float = parameter(
        100.0, unit="us", minimum=0.0, maximum=1e5, doc="A pixel is blind so long after an event."
    )
    jitter_us: float = parameter(
        15.0, unit="us", minimum=0.0, maximum=1e4, doc="Standard deviation of an event's latency."
    )
    noise_hz: float = parameter(
        0.2, unit="Hz", minimum=0.0, maximum=1e4, doc="Noise events of every pixel."
    )
    noise_on_share: float = parameter(
        0.5, minimum=0.0, maximum=1.0, doc="Share of ON events in the noise; leak makes ON events."
    )
    hot_pixels: int = parameter(
        20, minimum=0, maximum=10_000, doc="Pixels that fire by themselves."
    )
    hot_pixel_hz: float = parameter(
        500.0, unit="Hz", minimum=0.0, maximum=1e6, doc="Event rate of a hot pixel."
    )
    seed: int = parameter(0, minimum=0, doc="Seed of everything random.")

    @property
    def size(self) -> SensorSize:
        """Geometry of the sensor."""
        return SensorSize(self.width, self.height)
